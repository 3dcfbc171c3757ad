"""What each estimator costs on one batch: forward passes by operations, and peak memory.

    python reports/estimators/cost.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

Operations are counted by torch's own counter; one forward pass of the same batch is the unit. Peak
memory is how far the resident set of a process of its own grows over the model that is loaded,
captured and run once. The probes share one pass. gptq_loss is left out: it is a forward pass, and
rounding that does not depend on the data. Writes results_cost.json; interrupted, it goes on.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
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
    parser.add_argument("--only", help="measure this pass in this process, and print its row")
    return parser.parse_args()


def main():
    args = arguments()
    if args.only:
        print(json.dumps(row_of(args)))
        return
    done = HERE / "results_cost.json"
    rows = json.loads(done.read_text())["rows"] if done.exists() else {}
    single = [name for name in ESTIMATORS if name not in (*PROBES.split(","), "gptq_loss")]
    for names in (REPLAY, PROBES, *sorted(single, key="hessian_top".__eq__)):  # the longest last
        if names in rows:  # interrupted before
            continue
        command = [sys.executable, __file__, *sys.argv[1:], "--only", names]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        rows[names] = json.loads(answer.stdout.splitlines()[-1])
        print(names, rows[names], flush=True)
        document = {"samples": args.samples, "schemes": 6, "rows": rows}
        done.write_text(json.dumps(document, indent=1) + "\n")


def row_of(args):
    session = open_session(args.model, Workspace(tempfile.mkdtemp()), {
        "weights": args.weights, "data": args.data, "calibration_samples": args.samples,
        "batch_size": args.samples})
    study, _ = prepare(session)
    for group in study.space.groups:
        study.prepare(group)
    with torch.no_grad():
        unit = counted(lambda: study.program.run(study.batches[0].args))
    estimators = {name: plugins.make("estimator", name) for name in plugins.listed(args.only)}
    engine = plugins.load("engine", next(iter(estimators.values())).engine)()
    job = Job(engine=engine, estimators=estimators, study=study,
              ledgers={name: Memory() for name in estimators})
    before = peak()
    forwards = counted(lambda: measure(job, lambda _: None)) / unit
    return {"forwards_by_operations": forwards, "peak_mib": peak() - before}


def counted(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def peak():
    """The most memory this process had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
