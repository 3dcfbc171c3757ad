"""What each estimator costs on one batch, in forward passes by floating-point operations.

    python reports/estimators/cost.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

Operations are counted by torch's own counter; one forward pass of the same batch is the unit. The
probes share one pass. gptq_loss is left out: it is a forward pass, and rounding that does not
depend on the data. Writes results_cost.json; interrupted, it goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from study import ESTIMATORS
from torch.utils.flop_counter import FlopCounterMode

from mpsearch import plugins
from mpsearch.sensitivity.engine import Job, measure
from mpsearch.steps.prepare import prepare
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
PROBES = "kl_probe,metric_probe,decoupled,logit_gram"
REPLAY = "output_error,sqnr,gradient,fisher_diag,fisher,gauss_newton,lrp"


class Memory(dict):
    """A ledger that is kept in memory."""

    put = dict.__setitem__


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--samples", type=int, default=2)
    return parser.parse_args()


def main():
    args = arguments()
    session = open_session(args.model, Workspace(tempfile.mkdtemp()), {
        "weights": args.weights, "data": args.data, "calibration_samples": args.samples,
        "batch_size": args.samples})
    study, _ = prepare(session)
    for group in study.space.groups:
        study.prepare(group)
    with torch.no_grad():
        unit = counted(lambda: study.program.run(study.batches[0].args))
    done = HERE / "results_cost.json"
    rows = json.loads(done.read_text())["rows"] if done.exists() else {}
    single = [name for name in ESTIMATORS if name not in (*PROBES.split(","), "gptq_loss")]
    for names in (REPLAY, PROBES, *sorted(single, key="hessian_top".__eq__)):  # the longest last
        if names in rows:  # interrupted before
            continue
        estimators = {name: plugins.make("estimator", name) for name in plugins.listed(names)}
        engine = plugins.load("engine", next(iter(estimators.values())).engine)()
        job = Job(engine=engine, estimators=estimators, study=study,
                  ledgers={name: Memory() for name in estimators})
        rows[names] = {"forwards_by_operations": counted(
            lambda job=job: measure(job, lambda _: None)) / unit}
        print(names, rows[names], flush=True)
        document = {"samples": args.samples, "schemes": 6, "rows": rows}
        done.write_text(json.dumps(document, indent=1) + "\n")


def counted(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
