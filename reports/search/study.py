"""What a search finds with so many measured evaluations: every method, several seeds.

    python reports/search/study.py blocks --space reports/search/blocks.toml
    python reports/search/study.py digits
    python reports/search/study.py NAME --model M --weights W --data D ...

Scores are made of the calibration samples, every method judges choices on the search samples, and
what it chose is measured on held-out ones. All methods share a file of what was measured, so that
a choice is run once; each counts its own evaluations all the same. Writes results_NAME.json beside
this file after every run; interrupted, it goes on with the runs that are missing. `report.py` makes
tables and pictures of it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from evaluations import Evaluations
from runs import ALONE, ESTIMATOR, METHODS, Subject, one

from mpsearch.core.io import to_data, write
from mpsearch.steps.choice import runnable
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.steps.trials import TrialRunner, search_data
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
KINDS = ("front", "3.0bpw", "4.0bpw")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    for option in ("model", "weights", "data", "space"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--search-samples", type=int, default=64)
    parser.add_argument("--evaluation-samples", type=int, default=512)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--methods", nargs="+", default=[ALONE, *METHODS])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--no-held-out", dest="held_out", action="store_false",
                        help="leave held-out samples to a later call")
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    args = arguments()
    subject = subject_of(args)
    path = HERE / f"results_{args.name}.json"
    document = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    document |= {name: getattr(args, name) for name in (
        "calibration_samples", "search_samples", "evaluation_samples")}
    document["search_samples"] = subject.samples
    for kind, seed, method in wanted(args):
        key = f"{kind} | {method} | {seed}"
        if key not in document["runs"]:
            began, before = time.process_time(), subject.evaluations.measured
            document["runs"][key] = one(subject, kind, method, seed) | {
                "ran": subject.evaluations.measured - before}
            write(path, dumps(document))
            print(f"{key}: {time.process_time() - began:.0f} CPU s, "
                  f"{document['runs'][key]['ran']} measured anew", flush=True)
    if args.held_out:
        judged(subject, document)
        write(path, dumps(document))


def wanted(args):
    """Runs by kind and seed; what draws nothing has one seed."""
    for kind in args.kinds:
        for seed in args.seeds:
            for method in args.methods:
                if method != ALONE or seed == args.seeds[0]:
                    yield kind, seed, method


def subject_of(args):
    options = {name: getattr(args, name) for name in ("weights", "data", "space") if
               getattr(args, name)}
    session = open_session(args.model, Workspace(args.workspace), {
        **options, "calibration_samples": args.calibration_samples,
        "evaluation_samples": args.evaluation_samples})
    measured = measure(session, [ESTIMATOR], bar)
    batches = search_data(session, args.search_samples).batches
    kept = kept_of(args, session, batches)
    return Subject(session=session, measured=measured, samples=batches.samples,
                   evaluations=Evaluations(TrialRunner(session, measured, batches), kept))


def kept_of(args, session, batches):
    """The file of what was measured on *batches*."""
    return Path(args.workspace) / "search" / f"{session.key}-{batches.digest}.txt"


def judged(subject, document):
    """Held-out losses of what the runs within budgets chose, beside the integer program's."""
    for kind in sorted({key.split(" | ")[0] for key in document["runs"]} - {"front"}):
        own = {key: run for key, run in document["runs"].items() if key.startswith(f"{kind} | ")}
        base = next((run for key, run in own.items() if f"| {ALONE} |" in key), None)
        marks = [mark for run in own.values() for mark in run["by_mark"].values()]
        choices = {str(mark["choice"]): mark["choice"] for mark in marks}
        found = measure_policies(subject.session, {
            label: runnable(subject.measured, choice) for label, choice in choices.items()}, bar)
        for mark in marks:
            own = found[str(mark["choice"])]
            mark["held_out"] = own.evaluation.kl
            mark["top1"] = own.evaluation.top1
            if base is not None:
                ours = found[str(base["by_mark"]["300"]["choice"])]
                mark["against_ilp"] = to_data(compare(own.kl, ours.kl))


def dumps(document):
    """A line a run."""
    runs = ",\n".join(f"{json.dumps(key)}: {json.dumps(run, separators=(',', ':'))}"
                      for key, run in document["runs"].items())
    rest = {key: value for key, value in document.items() if key != "runs"}
    return (json.dumps(rest)[:-1] + ',\n"runs": {\n' + runs + "\n}}\n").encode()


if __name__ == "__main__":
    main()
