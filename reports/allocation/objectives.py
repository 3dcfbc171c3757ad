"""Which objective should decide? Additive, saturating, with interactions, robust: on real scores.

    python reports/allocation/objectives.py NAME [--model M --weights W --data D ...]

Scores come from the calibration samples; what each objective picks at 3 to 5 bits per weight is
measured on held-out ones and compared pairwise with the additive pick. Writes
results_objectives_NAME.json; `objectives_report.py` makes the table. Interrupted, it goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.core.io import to_data, write
from mpsearch.steps.choice import runnable
from mpsearch.steps.compare import compare
from mpsearch.steps.limits import rows
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.objective import minimise
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
BUDGETS = (3.0, 3.5, 4.0, 4.5, 5.0)
CEILINGS = (0.5, 2.0, 8.0)  # nats; the larger, the closer to the plain sum


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    for option in ("model", "weights", "data"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--evaluation-samples", type=int, default=256)
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    args = arguments()
    session = open_session(args.model, Workspace(args.workspace), {
        name: getattr(args, name) for name in ("weights", "data", "calibration_samples",
                                               "evaluation_samples")})
    measured = measure(session, ["kl_probe", "logit_gram"], bar, samples=True)
    document = {"calibration_samples": args.calibration_samples,
                "evaluation_samples": args.evaluation_samples, "budgets": {}}
    for limit in BUDGETS:
        found = chosen(measured, Budget.parse(f"{limit}bpw"))
        kls = measure_policies(session, {name: runnable(measured, choice)
                                         for name, (choice, _, _) in found.items()}, bar)
        base = kls["additive"]
        document["budgets"][str(limit)] = {name: {
            "predicted": predicted, "kl": kls[name].evaluation.kl,
            "top1": kls[name].evaluation.top1, "said": said,
            "against_additive": to_data(compare(kls[name].kl, base.kl))}
            for name, (_, predicted, said) in found.items()}
        write(HERE / f"results_objectives_{args.name}.json",
              (json.dumps(document, indent=1) + "\n").encode())


def chosen(measured, budget):
    """What each objective picks, the total it predicts, and what it says of itself."""
    (row,) = rows([budget], measured)
    found = {}
    for name, estimator, objective in (
            ("additive", "kl_probe", "additive"), ("robust", "kl_probe", "robust"),
            ("gram, additive", "logit_gram", "additive"),
            ("gram, interactions", "logit_gram", "interactions")):
        losses = measured.tables[estimator]
        selection, said = minimise(Problem.from_tables(losses, [row.table], [row.limit]), losses,
                                   objective=objective, allocator="ilp")
        predicted = (losses.predict(selection.choice) if objective == "interactions"
                     else losses.total(selection.choice))
        found[name] = selection.choice, predicted, {
            "status": selection.status, "bound": selection.bound,
            **{key: said[key] for key in ("kappa", "expected_optimism") if key in said}}
    return found | {f"saturating at {ceiling:g}": saturating(measured, row, ceiling)
                    for ceiling in CEILINGS}


def saturating(measured, row, ceiling):
    """c (1 - prod(1 - a_i)) with a_i = score_i / c: least where the sum of -log(1 - a_i) is."""
    losses = measured.tables["kl_probe"]
    values = [np.minimum(np.array(own) / ceiling, 1 - 1e-9) for own in losses.values]
    problem = Problem(losses=tuple(-np.log1p(-own) for own in values),
                      costs=(tuple(np.array(own) for own in row.table.values),),
                      limits=(row.limit,), metrics=("size",))
    selection = plugins.load("allocator", "ilp")()(problem)
    return selection.choice, float(-ceiling * np.expm1(-selection.objective)), {
        "status": selection.status}


if __name__ == "__main__":
    main()
