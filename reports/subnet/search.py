"""Do skipped blocks, heads and hidden units pay in a searched front, at as many measured trials?

    python reports/subnet/search.py
    python reports/subnet/search.py --model vit_tiny_patch16_224 \
        --weights vit_tiny_patch16_224.safetensors --data imagenet_sample \
        --calibration-samples 32 --evaluation-samples 96 --search-samples 32 --trials 64 --seeds 1

The first is the embedded network on its digits. Two spaces with the same widths, every layer by
itself and with sub-networks, are searched for a front of the loss over a cost, with the same
number of trials on the same samples. At a budget each space answers with the trial on its front
that loses least on these; the answers are measured on held-out samples, and every KL in the table
is from there. Writes results, table and picture beside this file.
Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import optuna

from mpsearch.core.io import to_data, write
from mpsearch.nas.hypervolume import hypervolume
from mpsearch.report.curves import label_losses
from mpsearch.report.style import BLUE, ORANGE, draw_figure
from mpsearch.steps.choice import runnable
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar
from mpsearch.steps.request import DEFAULT_MODEL
from mpsearch.steps.search_front import search_front
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
SPACES = ("bits", "subnet")
ESTIMATOR = "kl_probe"
UNITS = {"size": "bits per weight", "bops": "bit operations a sample"}
AT = {"size": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0),
      "bops": (0.6, 0.65, 0.7, 0.75, 0.8, 0.9)}
"""Budgets: bits per weight, or shares of the bit operations of all layers at 6 bits."""
COLOURS = {"bits": BLUE, "subnet": ORANGE}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--weights")
    parser.add_argument("--data")
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--evaluation-samples", type=int, default=512)
    parser.add_argument("--search-samples", type=int, default=64)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--objective", choices=list(UNITS), default="size")
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    args = arguments()
    runs = {(space, seed): searched(args, space, seed) for seed in range(args.seeds)
            for space in SPACES}
    answers = judged(args, runs)
    rows = [row for number, at in enumerate(AT[args.objective])
            for row in at_budget({key: own[number] for key, own in answers.items()}, at)]
    fronts = {key: points for key, (points, _) in runs.items()}
    document = {
        "model": args.model, "estimator": ESTIMATOR, "objective": args.objective,
        "trials": args.trials, "search_samples": args.search_samples,
        "evaluation_samples": len(answers["bits", 0][-1]["kl"]), "seeds": args.seeds,
        "volumes": volumes(fronts), "rows": rows,
        "fronts": [{"space": space, "seed": seed, "points": [
            {name: value for name, value in point.items() if name not in {"kl", "choice"}}
            for point in points]} for (space, seed), points in fronts.items()]}
    name = "digits" if args.model == DEFAULT_MODEL else args.model
    name = name if args.objective == "size" else f"{name}_{args.objective}"
    write(HERE / f"results_search_{name}.json", (json.dumps(document, indent=1) + "\n").encode())
    write(HERE / f"table_search_{name}.md", table(document).encode())
    draw_figure(picture, document, HERE / f"front_search_{name}")
    print(table(document))


def searched(args, space, seed):
    """The searched front of *space*: each point's cost, losses and what it leaves out."""
    session = open_session(args.model, Workspace(args.workspace), {
        "weights": args.weights, "data": args.data, "space": str(HERE / f"{space}.toml"),
        "calibration_samples": args.calibration_samples,
        "evaluation_samples": args.evaluation_samples, "seed": seed})
    measured = measure(session, [ESTIMATOR], bar)
    plan = SearchPlan(trials=args.trials, samples=args.search_samples, race=False)
    found = search_front(session, measured, ESTIMATOR, ("loss", args.objective), plan=plan,
                         progress=bar, verify=False)
    points = [{"trial": point.ticket, "origin": point.origin, "cost": point.values[1],
               "loss": point.loss, "left_out": dict(point.left_out), "choice": point.choice}
              for point in found.points]
    return points, lambda chosen: measure_policies(session, {
        str(point["trial"]): runnable(measured, point["choice"]) for point in chosen}, bar)


def within(points, limit):
    """The answer within *limit*: what loses least on the samples of the search."""
    return min((point for point in points if point["cost"] <= limit),
               key=lambda point: point["loss"], default=None)


def judged(args, runs):
    """Every run's answers at the budgets, measured on held-out samples."""
    whole = max(point["cost"] for (space, _), (points, _) in runs.items() if space == "bits"
                for point in points)
    limits = [at * (1.0 if args.objective == "size" else whole) for at in AT[args.objective]]
    found = {}
    for key, (points, judge) in runs.items():
        answers = [within(points, limit) for limit in limits]
        measured = judge({point["trial"]: point for point in answers if point}.values())
        for point in filter(None, answers):
            point["kl"] = measured[str(point["trial"])].kl
            point["held_out"] = measured[str(point["trial"])].evaluation.kl
            point["top1"] = measured[str(point["trial"])].evaluation.top1
        found[key] = answers
    return found


def at_budget(best, at):
    """A row for each space: its answers, one a seed, and how they compare."""
    rows = []
    for space in SPACES:
        answers = [point for (own, _), point in best.items() if own == space]
        if None in answers:
            continue
        row = {"budget": at, "space": space, "kl": [point["held_out"] for point in answers],
               "left_out": [point["left_out"] for point in answers]}
        others = [best["bits", seed] for seed in range(len(answers))]
        if space != "bits" and None not in others:
            row["against_bits"] = [
                {**to_data(made), "verdict": made.verdict} for made in (
                    compare(own["kl"], other["kl"])
                    for own, other in zip(answers, others, strict=True))]
        rows.append(row)
    return rows


def volumes(fronts):
    """What each front dominates of one box: losses of the search by their logarithm to base 10."""
    everything = [point for points in fronts.values() for point in points]
    corner = (max(point["cost"] for point in everything),
              max(math.log10(point["loss"]) for point in everything))
    return {space: [hypervolume([(point["cost"], math.log10(point["loss"]))
                                 for point in points], corner) / corner[0]
                    for (own, _), points in fronts.items() if own == space] for space in SPACES}


def table(document):
    lines = ["| budget | space | held-out KL, a seed each | against bits | left out |",
             "|---:|---|---|---|---|"]
    for row in document["rows"]:
        verdicts = ", ".join(each["verdict"] for each in row.get("against_bits", ()))
        lines.append(f"| {row['budget']} | {row['space']} | "
                     f"{', '.join(f'{kl:.4f}' for kl in row['kl'])} | "
                     f"{verdicts or '-'} | {'; '.join(map(in_short, row['left_out']))} |")
    for space, found in document["volumes"].items():
        lines.append(f"\nHypervolume of `{space}`: {', '.join(f'{each:.3f}' for each in found)}")
    return "\n".join(lines) + "\n"


def in_short(left):
    """How many branches are skipped, and how many lose heads or hidden units."""
    skipped = [branch for branch, what in left.items() if what == "skip"]
    kept = [branch for branch in left if branch not in skipped]
    parts = [f"{'/'.join(short(branch) for branch in skipped)} skipped"] if skipped else []
    for kind, word in (("attn", "heads"), ("mlp", "units")):
        number = sum(branch.endswith(kind) for branch in kept)
        parts += [f"{word} in {number}"] * (number > 0)
    return ", ".join(parts) or "nothing"


def short(branch):
    return branch.removeprefix("blocks.").replace(".", " ")


def picture(document):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    figure.suptitle(f"{document['model']}: searched fronts, {document['trials']} trials on "
                    f"{document['search_samples']} samples", x=0.01, ha="left", fontsize=10)
    axes = figure.subplots()
    for front in document["fronts"]:
        points, colour = front["points"], COLOURS[front["space"]]
        label = front["space"] if front["seed"] == 0 else None
        axes.plot([each["cost"] for each in points], [each["loss"] for each in points], "-",
                  color=colour, linewidth=1.0, label=label)
        for skips, marker in ((False, "."), (True, "x")):
            own = [each for each in points if ("skip" in each["left_out"].values()) is skips]
            axes.plot([each["cost"] for each in own], [each["loss"] for each in own], marker,
                      color=colour, markersize=5)
    axes.plot([], [], "x", color=COLOURS["subnet"], markersize=5, label="skips a branch")
    axes.set_yscale("log")
    label_losses(axes, axes.get_ylim())
    axes.set_xlabel(UNITS[document["objective"]])
    axes.set_ylabel("KL to the float model, nats")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
