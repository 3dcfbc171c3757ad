"""Every estimator on one model: how well it predicts, and what its integer program picks.

    python reports/estimators/study.py NAME [--model M --weights W --data D --space S ...]

NAME names the results file; README.md lists the commands of all cases. Scores come from the
calibration split, every loss from the evaluation split. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from picks import bits, bops, local_search, pick
from policies import near_optimal, random_policies
from predictive import calibration, correlation

from mpsearch import plugins
from mpsearch.core.io import to_data, write
from mpsearch.steps.choice import runnable, totals_of, uniform_choices
from mpsearch.steps.compare import compare
from mpsearch.steps.curve import Curve
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.prediction import correct
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
WEIGHTS_ONLY = ("weights", "moments", "curvature", "power")
BUDGETS = (3.0, 3.5, 4.0, 4.5, 5.0)
SLOW = ("hessian_trace", "hessian_top", "aph", "aumann_shapley")
ESTIMATORS = (
    "weight_error", "output_error", "sqnr", "gradient", "fisher_diag", "fisher", "gauss_newton",
    "gauss_newton(draws=4,factored=False)", "lrp", "lrp(rule=alpha_beta)", "kfac", "gptq_loss",
    "hessian_trace", "hessian_top", "aph", "aph(signs=ones)", "aumann_shapley", "skip", "kl_probe",
    "metric_probe", "decoupled", "logit_gram")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    for option in ("model", "weights", "data"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--space", default="weights_only")
    parser.add_argument("--estimators", default=",".join(ESTIMATORS))
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--slow-samples", type=int, help="calibration samples of the estimators "
                        f"that cost most ({', '.join(SLOW)})")
    parser.add_argument("--evaluation-samples", type=int, default=256)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--near", type=int, default=15, help="near-optimal policies a target")
    parser.add_argument("--oracle-steps", type=int, default=100)
    parser.add_argument("--convergence", default="", help="sample counts, as 16,32,64")
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    args = arguments()
    options = {name: getattr(args, name) for name in ("weights", "data", "space",
                                                      "calibration_samples",
                                                      "evaluation_samples")}
    session = open_session(args.model, Workspace(args.workspace), options)
    activations = args.space != "weights_only"
    names = [name for name in plugins.listed(args.estimators) if not activations
             or plugins.make("estimator", name).engine not in WEIGHTS_ONLY]
    measured = scored(args, options, session, names)
    named = {plugins.canonical("estimator", name): name for name in names}
    scores = [*named, *(["logit_gram with interactions"] if "logit_gram" in named else [])]
    document = {"name": args.name, "groups": len(measured.record.space.groups),
                "settings": {**options, "model": args.model, "weights": None, "data": None,
                             "slow_samples": args.slow_samples}}
    document |= predictions(session, measured, scores, args, activations)
    document["picks"] = picked(session, measured, scores, args, activations)
    save(document)
    if args.convergence:
        document["convergence"] = convergence(args, options, measured, session)
        save(document)


def save(document):
    text = json.dumps(document, indent=1) + "\n"
    write(HERE / f"results_{document['name']}.json", text.encode())


def scored(args, options, session, names):
    """All tables; those of the slow estimators from fewer samples, if that is asked for."""
    slow = [name for name in names if args.slow_samples and plugins.base_name(name) in SLOW]
    measured = measure(session, [name for name in names if name not in slow], bar)
    if not slow:
        return measured
    other = open_session(args.model, session.workspace,
                         {**options, "calibration_samples": args.slow_samples})
    return replace(measured, tables={**measured.tables, **measure(other, slow, bar).tables})


def run(session, measured, choices, split="evaluation"):
    return measure_policies(session, {label: runnable(measured, choice)
                                      for label, choice in choices.items()}, bar, split=split)


def sampled(measured, args, activations):
    """The random and the near-optimal policies, with the target each of the latter belongs to."""
    size = measured.costs()["size"]
    rates = measured.record.space.weights
    if not activations:
        return (random_policies(size.values, rates, args.random),
                near_optimal(measured, args.near))
    bop = measured.costs()["bops"]
    uniform = uniform_choices(measured.record.space)
    targets = {label.split()[-1]: bops(measured, choice) for label, choice in uniform.items()
               if label.split()[-1] in ("W4A4", "W6A6")}
    macs = sum(max(row) for row in bop.values) / 64
    drawn = random_policies(bop.values, macs, args.random, 20, 40)
    return drawn, near_optimal(measured, 2 * args.near, targets=targets, cost="bops")


def predictions(session, measured, scores, args, activations):
    drawn, near = sampled(measured, args, activations)
    choices = {f"random {i}": choice for i, choice in enumerate(drawn)} | {
        f"near {i}": choice for i, (_, choice) in enumerate(near)}
    found = run(session, measured, choices)
    kl = {part: [found[f"{part} {i}"].kl for i in range(len(own))]
          for part, own in (("random", drawn), ("near", near))}
    targets = [str(target) for target, _ in near]
    rows = {}
    for name in scores:
        table = measured.tables[name.removesuffix(" with interactions")]
        total = table.predict if name.endswith("interactions") else table.total
        first, second = [total(c) for c in drawn], [total(c) for _, c in near]
        rows[name] = {
            "unit": table.unit, "random": correlation(first, kl["random"]),
            "near": correlation(second, kl["near"]),
            "near_within": correlation(second, kl["near"], parts=targets),
            "random_calibration": calibration(first, kl["random"]),
            "near_calibration": calibration(second, kl["near"])}
    return {"predictions": rows, "saturation": saturation(measured, drawn, near, kl),
            "coverage": coverage(session, measured, scores, choices, found),
            "losses": {label: float(np.mean(each.kl)) for label, each in found.items()}}


def saturation(measured, drawn, near, kl):
    """c (1 - prod(1 - a_i)), a_i = score_i / c, with the c that fits half of the random policies."""
    table = measured.tables["kl_probe"]
    columns = [[row[k] for row, k in zip(table.values, choice, strict=True)]
               for choice in [*drawn, *(choice for _, choice in near)]]
    truth = np.array([np.mean(each) for each in [*kl["random"], *kl["near"]]])
    ceilings = np.geomspace(0.3, 300, 60)

    def predicted(c):
        return np.array([c * -np.expm1(np.log1p(-np.clip(np.array(row) / c, 0, 0.999)).sum())
                         for row in columns])

    half = np.arange(0, len(drawn), 2)
    error = [np.square(np.log(predicted(c)[half] / truth[half])).mean() for c in ceilings]
    best = ceilings[int(np.argmin(error))]
    rest = np.arange(1, len(drawn), 2)
    total = np.array([sum(row) for row in columns])

    def off(values, which):
        return float(np.sqrt(np.square(np.log(values[which] / truth[which])).mean()))

    last = np.arange(len(drawn), len(truth))
    return {"ceiling": float(best), "log_error_random": off(predicted(best), rest),
            "log_error_random_sum": off(total, rest), "log_error_near": off(predicted(best), last),
            "log_error_near_sum": off(total, last)}


def coverage(session, measured, scores, choices, found):
    """Share of held-out policies whose measured loss lies in the interval of the correction."""
    rows = {}
    for name in ("kl_probe", "fisher", "logit_gram"):
        if name not in scores:
            continue
        curve = Curve(measured=measured, estimator=name)
        correction = correct(session, curve, bar)
        if correction is None:
            continue
        inside, wide, drop = [], [], []
        for label, choice in choices.items():
            evaluation = found[label].evaluation
            said = correction.predict(curve.losses.predict(choice), evaluation.samples)
            inside.append((label.split()[0], said.kl_low <= evaluation.kl <= said.kl_high))
            wide.append(said.kl_high / said.kl_low)
            if said.accuracy_loss is not None and evaluation.top1 is not None:
                lost = evaluation.float_top1 - evaluation.top1
                drop.append(said.accuracy_loss_low <= lost <= said.accuracy_loss_high)
        rows[name] = {
            "kl_random": float(np.mean([ok for part, ok in inside if part == "random"])),
            "kl_near": float(np.mean([ok for part, ok in inside if part == "near"])),
            "accuracy": float(np.mean(drop)) if drop else None,
            "median_width_factor": float(np.median(wide)), "policies": 6}
    return rows


def picked(session, measured, scores, args, activations):
    uniform = uniform_choices(measured.record.space)
    budgets = budgets_of(measured, uniform, activations)
    result = {}
    for title, budget in budgets.items():
        choices = {name: pick(session, measured, name, budget, bar) for name in scores}
        problem_meets = {label: choice for label, choice in uniform.items()
                         if measured.costs()["size" if not activations else "bops"].total(choice)
                         <= limit_of(measured, budget) + 1e-6}
        if problem_meets:
            label = list(problem_meets)[-1]
            choices[label] = problem_meets[label]
        searched = None
        if args.oracle_steps:
            best, kl, count = local_search(session, measured, list(dict.fromkeys(
                choices[name] for name in scores)), budget, bar, args.oracle_steps)
            choices["oracle"], searched = best, {"calibration_kl": kl, "measured": count}
        found = run(session, measured, choices)
        base = found["kl_probe"].kl if "kl_probe" in found else None
        result[title] = {"oracle": searched, "rows": {
            label: {**to_data(each.evaluation),
                    "bits_per_weight": totals_of(measured, choices[label], measured.tables[
                        "kl_probe"]).bits_per_weight,
                    "against_kl_probe": to_data(compare(each.kl, base)) if base else None}
            for label, each in found.items()}}
    return result


def budgets_of(measured, uniform, activations):
    if not activations:
        return {f"{limit} bpw": bits(limit) for limit in BUDGETS}
    return {f"BOPs of {label.split()[-1]}": bops(measured, choice)
            for label, choice in uniform.items() if label.split()[-1] in ("W4A4", "W6A6")}


def limit_of(measured, budget):
    if budget.metric == "bops":
        return budget.limit
    return budget.limit * measured.record.space.weights


def convergence(args, options, measured, session):
    """Rank correlation with the near-optimal policies, by the number of calibration images."""
    activations = args.space != "weights_only"
    _, near = sampled(measured, args, activations)
    found = run(session, measured, {f"near {i}": choice for i, (_, choice) in enumerate(near)})
    kl = [found[f"near {i}"].kl for i in range(len(near))]
    targets = [str(target) for target, _ in near]
    result = {}
    for count in map(int, args.convergence.split(",")):
        other = open_session(args.model, session.workspace,
                             {**options, "calibration_samples": count})
        names = [name for name in measured.tables if plugins.base_name(name) not in SLOW
                 and plugins.make("estimator", name).engine != "weights"]
        tables = measure(other, names, bar).tables
        result[count] = {
            name: correlation([tables[name].total(c) for _, c in near], kl,
                              parts=targets)["value"] for name in names}
        if "logit_gram" in tables:
            result[count]["logit_gram with interactions"] = correlation(
                [tables["logit_gram"].predict(c) for _, c in near], kl, parts=targets)["value"]
    return result


if __name__ == "__main__":
    main()
