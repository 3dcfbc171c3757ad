"""What each estimator costs on one batch: forward passes by operations and by time, peak memory.

    python reports/estimators/cost.py --weights vit_tiny_patch16_224.safetensors \
        --data imagenet_sample

Every estimator runs in a process of its own, on one batch, after the model was captured. Writes
results_cost.json. Floating-point operations are counted by torch's own counter; one forward pass
of the same batch is the unit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
REPLAY = "output_error,sqnr,gradient,fisher_diag,fisher,gauss_newton,lrp"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--one", help="measure these estimators only, and print one line")
    return parser.parse_args()


def main():
    from study import ESTIMATORS

    args = arguments()
    if args.one:
        print(json.dumps(one(args)))
        return
    rows = {}
    for names in (*ESTIMATORS, REPLAY, "kl_probe,metric_probe,decoupled,logit_gram"):
        done = subprocess.run(
            [sys.executable, __file__, "--model", args.model, "--weights", args.weights, "--data",
             args.data, "--samples", str(args.samples), "--one", names],
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{names}: {done.stderr[-2000:]}")
        rows[names] = json.loads(done.stdout.strip().splitlines()[-1])
        print(names, rows[names], flush=True)
    document = {"samples": args.samples, "schemes": 6, "rows": rows}
    (HERE / "results_cost.json").write_text(json.dumps(document, indent=1) + "\n")


def one(args):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from mpsearch import plugins
    from mpsearch.sensitivity.engine import Job, measure
    from mpsearch.steps.prepare import prepare
    from mpsearch.steps.session import open_session
    from mpsearch.workspace import Workspace

    class Memory(dict):
        put = dict.__setitem__

    session = open_session(args.model, Workspace(tempfile.mkdtemp()), {
        "weights": args.weights, "data": args.data, "calibration_samples": args.samples,
        "batch_size": args.samples})
    study, _ = prepare(session)
    for group in study.space.groups:
        study.prepare(group)
    with torch.no_grad():
        forward = sorted(timed(lambda: study.program.run(study.batches[0].args))[1]
                         for _ in range(5))[2]
        with FlopCounterMode(display=False) as counter:
            study.program.run(study.batches[0].args)
    unit = counter.get_total_flops()
    estimators = {name: plugins.make("estimator", name) for name in plugins.listed(args.one)}
    engine = plugins.load("engine", next(iter(estimators.values())).engine)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def job():
        return Job(engine=engine, estimators=estimators, study=study,
                   ledgers={name: Memory() for name in estimators})

    _, seconds = timed(lambda: measure(job(), lambda _: None))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with FlopCounterMode(display=False) as counter:
        measure(job(), lambda _: None)
    flops = counter.get_total_flops() / unit
    return {"forwards_by_operations": flops, "forwards_by_time": seconds / forward,
            "forward_seconds": forward, "extra_peak_mib": (peak - before) / 1024}


def timed(function):
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
