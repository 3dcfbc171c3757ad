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
import math
import time
from functools import cache
from pathlib import Path

from evaluations import Evaluations
from runs import ALONE, ESTIMATOR, MARKS, METHODS, Subject, one

from mpsearch.core.io import to_data, write
from mpsearch.nas.hypervolume import nondominated
from mpsearch.steps.batch_runs import BatchRuns
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.steps.trial_data import search_data
from mpsearch.steps.trials import TrialRunner
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
    parser.add_argument("--held-out-fronts", action="store_true",
                        help="measure whole fronts on held-out samples too")
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
    document["reference"] = reference_of(subject)
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
        judged(args, document, held_out(args, subject.session, subject.measured))
        write(path, dumps(document))


def reference_of(subject):
    """Beyond all that counts: the widest choice's bits per weight, the narrowest one's log10 KL."""
    sizes = [len(group.schemes) for group in subject.measured.record.space.groups]
    return [subject.bits(tuple(size - 1 for size in sizes)),
            math.log10(subject.evaluations((0,) * len(sizes)).loss)]


def wanted(args):
    """Runs by kind, seed and method; what draws nothing runs once, as seed 0."""
    return list(dict.fromkeys((kind, 0 if method == ALONE else seed, method)
                              for kind in args.kinds for seed in args.seeds
                              for method in args.methods))


def subject_of(args):
    options = {name: getattr(args, name) for name in ("weights", "data", "space") if
               getattr(args, name)}
    session = open_session(args.model, Workspace(args.workspace), {
        **options, "calibration_samples": args.calibration_samples,
        "evaluation_samples": args.evaluation_samples})
    measured = measure(session, [ESTIMATOR], bar)
    batches = search_data(session, args.search_samples).batches
    kept = kept_of(args, session, batches)
    weights = session.captured.fake.weights
    weights.fake_as_stored = cache(weights.fake_as_stored)  # tens of thousands of runs need them
    return Subject(session=session, measured=measured, samples=batches.samples,
                   evaluations=Evaluations(runner(session, measured, batches), kept))


def kept_of(args, session, batches):
    """The file of what was measured on *batches*."""
    return Path(args.workspace) / "search" / f"{session.key}-{batches.digest}.txt"


def runner(session, measured, batches):
    return TrialRunner(BatchRuns(session, measured, batches).all, batches.samples)


def held_out(args, session, measured):
    """What tells how good a choice is on the held-out samples, kept in a file as well."""
    batches = session.evaluation
    return Evaluations(runner(session, measured, batches), kept_of(args, session, batches))


def judged(args, document, measure_held_out):
    """Held-out losses of what the wanted runs chose, beside the integer program's choices."""
    runs = document["runs"]
    bases = {kind: runs[f"{kind} | {ALONE} | 0"]["by_mark"]["300"] for kind in KINDS[1:]
             if f"{kind} | {ALONE} | 0" in runs}
    for kind, seed, method in wanted(args):
        run = runs[f"{kind} | {method} | {seed}"]
        found = put_within(run, bases) if kind == "front" else {kind: run["by_mark"]}
        for budget, marks in found.items():
            for mark in ("50", "300"):
                if mark in marks:
                    judge(marks[mark], bases.get(budget), measure_held_out)
        if kind == "front" and args.held_out_fronts:
            judge_front(run, measure_held_out)


def put_within(run, budgets):
    """Note the best choices within *budgets* that a front's run had found by each mark."""
    run.setdefault("within", {})
    for budget in budgets:
        limit, own = float(budget.removesuffix("bpw")), run["within"].setdefault(budget, {})
        for mark in map(str, MARKS):
            points = (run["by_mark"][mark] if "by_mark" in run else
                      [point for point in run["points"] if point[0] <= int(mark)])
            inside = [point for point in points if point[1] <= limit]
            if inside and mark not in own:
                _, _, loss, choice = min(inside, key=lambda point: point[2])
                own[mark] = {"loss": loss, "choice": choice}
    return run["within"]


def judge(mark, base, measure_held_out):
    found = measure_held_out(mark["choice"])
    mark["held_out"] = found.loss
    if base is not None:
        ours = measure_held_out(base["choice"])
        mark["against_ilp"] = to_data(compare(found.samples, ours.samples))


def judge_front(run, measure_held_out):
    """[bits per weight, held-out loss] of what nothing beats on the search samples at the end."""
    points = run["by_mark"]["300"] if "by_mark" in run else run["points"]
    best = nondominated([(bits, loss) for _, bits, loss, _ in points])
    run["held_out"] = [[points[i][1], float(f"{measure_held_out(points[i][3]).loss:.6g}")]
                       for i in best]


def dumps(document):
    """A line a run."""
    runs = ",\n".join(f"{json.dumps(key)}: {json.dumps(run, separators=(',', ':'))}"
                      for key, run in document["runs"].items())
    rest = {key: value for key, value in document.items() if key != "runs"}
    return (json.dumps(rest)[:-1] + ',\n"runs": {\n' + runs + "\n}}\n").encode()


if __name__ == "__main__":
    main()
