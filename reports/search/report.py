"""Tables and pictures of what `study.py` and `truth.py` wrote beside this file.

    python reports/search/report.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from runs import ALONE, MARKS, METHODS

from mpsearch.core.io import write
from mpsearch.nas.hypervolume import hypervolume
from mpsearch.report.style import BLUE, GREEN, GREY, INK, ORANGE, decimal, draw_figure

HERE = Path(__file__).parent
TITLES = {"blocks": "digits, one width a block", "digits": "digits, every layer",
          "resnet20": "ResNet-20", "vit_tiny": "ViT-Tiny"}
LOOKS = {"loop": (BLUE, "-", 2.2), "swaps": (GREEN, "-", 1.4), "linas": (ORANGE, "-", 1.4),
         "tpe warm": ("#CC79A7", "-", 1.4), "nsga2 warm": ("#E69F00", "-", 1.4),
         "tpe cold": ("#CC79A7", ":", 1.4), "nsga2 cold": ("#E69F00", ":", 1.4),
         "random": (GREY, ":", 1.4), ALONE: (INK, "--", 1.4)}
ORDER = [ALONE, *METHODS]
TICKS = [digit * 10.0**power for power in range(-3, 2) for digit in (1, 2, 5)]


def main():
    found = {name: read(name) for name in TITLES if (HERE / f"results_{name}.json").exists()}
    lines = []
    for name, document in found.items():
        lines += [f"\n## {TITLES[name]}\n", about(document), *fronts(name, document),
                  *beaten(name, document), *held_out(document), *budgets(name, document)]
    write(HERE / "tables.md", ("\n".join(lines).strip() + "\n").encode())
    print("\n".join(lines))
    shares = {name: shares_of(name, document) for name, document in found.items()}
    draw_figure(fronts_drawn, shares, HERE / "front")
    ratios = {name: ratios_of(document) for name, document in found.items()}
    ratios = {name: own for name, own in ratios.items() if own}
    if ratios:
        draw_figure(budgets_drawn, ratios, HERE / "budget")


def read(name):
    return json.loads((HERE / f"results_{name}.json").read_text())


def about(document):
    return (f"Scores from {document['calibration_samples']} samples, choices judged on "
            f"{document['search_samples']}, held-out losses on "
            f"{document['evaluation_samples']}.\n")


def runs_of(document, kind):
    """The runs of a kind: by method, by seed."""
    found = {}
    for key, run in document["runs"].items():
        own, method, seed = key.split(" | ")
        if own == kind:
            found.setdefault(method, {})[int(seed)] = run
    return {method: found[method] for method in ORDER if method in found}


def points_at(run, mark):
    """Points (bits per weight, log10 loss) that nothing beats after *mark* evaluations."""
    kept = (run["by_mark"][str(mark)] if "by_mark" in run else
            [point for point in run["points"] if point[0] <= mark])
    return [(bits, math.log10(max(loss, 1e-12))) for _, bits, loss, _ in kept]


def shares_of(name, document):
    """Hypervolumes by method, mark and seed, as shares of the best front that is known."""
    runs = runs_of(document, "front")
    every = [point for own in runs.values() for run in own.values()
             for mark in MARKS for point in points_at(run, mark)]
    truth = HERE / f"truth_{name}.json"
    best = ([(bits, math.log10(max(loss, 1e-12))) for _, bits, loss, _ in
             json.loads(truth.read_text())["points"]] if truth.exists() else every)
    reference = tuple(document["reference"])
    whole = hypervolume(lowest(best), reference)
    return {method: {str(mark): [hypervolume(lowest(points_at(run, mark)), reference) / whole
                                 for _, run in sorted(own.items())] for mark in MARKS}
            for method, own in runs.items()}


def lowest(points):
    """Those of *points* that are below all with fewer bits."""
    found = []
    for point in sorted(points):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return found


def fronts(name, document):
    shares = shares_of(name, document)
    of = "true front's" if (HERE / f"truth_{name}.json").exists() else "front's of all points known"
    yield f"Hypervolume, % of the {of}; mean of the seeds (least to most):\n"
    yield "| method | seeds | " + " | ".join(f"{mark} evaluations" for mark in MARKS) + " |"
    yield "|---|---:|" + "---:|" * len(MARKS)
    for method, by_mark in shares.items():
        count = len(next(iter(by_mark.values())))
        yield f"| {method} | {count} | " + " | ".join(
            cell([100 * share for share in by_mark[str(mark)]], 2) for mark in MARKS) + " |"


def cell(values, digits):
    middle = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def beaten(name, document):
    """In how many of its seeds the loop is above each other method's best and mean."""
    shares, runs = shares_of(name, document), runs_of(document, "front")
    at_end = {method: dict(zip(sorted(runs[method]), by_mark["300"], strict=True))
              for method, by_mark in shares.items()}
    loop = at_end.pop("loop", None)
    if not loop:
        return
    yield ("\nThe loop at 300 evaluations against each method, paired by seed (difference in % of "
           "the whole, 95 % interval of Student's t over the seeds):\n")
    yield "| against | seeds in which the loop is above | difference |"
    yield "|---|---:|---|"
    for method, theirs in at_end.items():
        if method == ALONE:
            theirs = dict.fromkeys(loop, theirs[0])
        apart = [100 * (loop[seed] - theirs[seed]) for seed in loop if seed in theirs]
        if apart:
            yield (f"| {method} | {sum(each > 0 for each in apart)} of {len(apart)} | "
                   f"{interval(apart)} |")


def held_out(document):
    """Hypervolumes of final fronts by their losses on held-out samples."""
    runs = {method: {seed: run for seed, run in own.items() if "held_out" in run}
            for method, own in runs_of(document, "front").items()}
    runs = {method: own for method, own in runs.items() if own}
    if not runs:
        return
    points = {method: {seed: [(bits, math.log10(max(loss, 1e-12))) for bits, loss in
                              run["held_out"]] for seed, run in own.items()}
              for method, own in runs.items()}
    reference = tuple(document["reference"])
    whole = hypervolume(lowest([point for own in points.values() for each in own.values()
                                for point in each]), reference)
    yield ("\nThe fronts after 300 evaluations by their held-out losses: hypervolume, % of that of "
           "all of them together.\n")
    yield "| method | seeds | held-out hypervolume |"
    yield "|---|---:|---:|"
    for method, own in points.items():
        shares = [100 * hypervolume(lowest(each), reference) / whole for each in own.values()]
        yield f"| {method} | {len(shares)} | {cell(shares, 2)} |"


def interval(values):
    from scipy.stats import t

    if len(values) == 1:
        return f"{values[0]:+.2f}"
    middle, error = np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))
    half = error * t.ppf(0.975, len(values) - 1)
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def ratios_of(document):
    """KL of what was chosen over the integer program's, by table, method, mark: search, held."""
    found = {}
    for title, budget, runs in choosing(document):
        base = base_of(document, budget)
        for method, own in runs.items():
            for mark in map(str, MARKS):
                rows = [run[mark] for _, run in sorted(own.items()) if mark in run]
                if rows and method != ALONE:
                    found.setdefault(title, {}).setdefault(method, {})[mark] = {
                        "search": [row["loss"] / base["loss"] for row in rows],
                        "held_out": [row["held_out"] / base["held_out"] for row in rows
                                     if "held_out" in row and "held_out" in base]}
    return found


def choosing(document):
    """Tables of choices within a budget: a title, the budget, and by method, seed, mark a choice.

    A budget was searched for, or what a front's run found within it is taken.
    """
    for budget in ("3.0bpw", "4.0bpw"):
        if base_of(document, budget) is None:
            continue
        searched = {method: {seed: run["by_mark"] for seed, run in own.items()}
                    for method, own in runs_of(document, budget).items()}
        if len(searched) > 1:
            yield f"searched within {budget}", budget, searched
        taken = {method: {seed: run["within"][budget] for seed, run in own.items()
                          if budget in run.get("within", {})}
                 for method, own in runs_of(document, "front").items() if method != ALONE}
        if any(taken.values()):
            yield f"within {budget}, of fronts", budget, taken


def base_of(document, budget):
    """What the integer program chose within *budget*."""
    run = document["runs"].get(f"{budget} | {ALONE} | 0")
    return run and run["by_mark"]["300"]


def budgets(name, document):
    ratios = ratios_of(document)
    truth = HERE / f"truth_{name}.json"
    known = json.loads(truth.read_text())["points"] if truth.exists() else []
    for title, budget, runs in choosing(document):
        base = base_of(document, budget)
        held = f"{base['held_out']:.4g}" if "held_out" in base else "not measured"
        yield (f"\nBest choices {title}: KL over the integer program's, geometric mean of the "
               f"seeds (least to most). The program's own is {base['loss']:.4g} on the search "
               f"samples and {held} on the held-out ones, where the last column is by a paired "
               "bootstrap of each seed.\n")
        if known:
            least = min(loss for _, bits, loss, _ in known if bits <= float(budget[:-3]))
            yield f"The true optimum is {least / base['loss']:.3f} of the program's on the former.\n"
        yield ("| method | seeds | " + " | ".join(f"search, {mark}" for mark in MARKS)
               + " | held-out, 50 | held-out, 300 | better / same / worse |")
        yield "|---|---:|" + "---:|" * (len(MARKS) + 2) + "---|"
        for method, by_mark in ratios.get(title, {}).items():
            yield row_of(method, by_mark, runs[method])


def row_of(method, by_mark, runs):
    verdicts = [verdict(run["300"]) for run in runs.values() if "300" in run]
    cells = [ratio(by_mark.get(str(mark), {}).get("search")) for mark in MARKS]
    cells += [ratio(by_mark.get(mark, {}).get("held_out")) for mark in ("50", "300")]
    counts = " / ".join(str(verdicts.count(each)) for each in ("better", "same", "worse"))
    return f"| {method} | {len(runs)} | " + " | ".join(cells) + f" | {counts} |"


def verdict(mark):
    against = mark.get("against_ilp")
    if against is None:
        return None
    return "better" if against["high"] < 0 else "worse" if against["low"] > 0 else "same"


def ratio(values):
    if not values:
        return "-"
    middle = math.exp(np.mean(np.log(values)))
    return f"{middle:.3f}" if len(values) == 1 else (
        f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})")


def fronts_drawn(shares):
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(3.6 * len(shares) + 1.2, 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(shares)))
    for axes, (name, methods) in zip(panels, shares.items(), strict=True):
        for method, by_mark in methods.items():
            colour, line, width = LOOKS[method]
            middle = [100 * (1 - np.mean(by_mark[str(mark)])) for mark in MARKS]
            axes.plot(MARKS, middle, line, color=colour, linewidth=width, label=method,
                      marker="o", markersize=3)
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_yticks([tick for tick in TICKS if low <= tick <= high], minor=False)
        axes.yaxis.set_major_formatter(lambda value, _place: decimal(value))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xticks(MARKS)
        axes.set_xlabel("measured evaluations")
        axes.set_title(TITLES[name], loc="left")
    panels[0].set_ylabel("hypervolume that is missing, %")
    handles = {label: handle for axes in panels for handle, label in
               zip(*axes.get_legend_handles_labels(), strict=True)}
    handles = {label: handles[label] for label in ORDER if label in handles}
    figure.legend(handles.values(), handles, loc="outside right center")
    return figure


def budgets_drawn(ratios):
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    pairs = [(name, title) for name, own in ratios.items() for title in own]
    figure = Figure(figsize=(2.9 * len(pairs) + 1.2, 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(pairs), sharey=True))
    order = [method for method in METHODS if any(method in ratios[name][title]
                                                 for name, title in pairs)]
    for axes, (name, title) in zip(panels, pairs, strict=True):
        for place, method in enumerate(order):
            own = ratios[name][title].get(method, {}).get("300", {})
            for key, marker, shift in (("search", "o", -0.12), ("held_out", "D", 0.12)):
                axes.plot(own.get(key, []), [place + shift] * len(own.get(key, [])), marker,
                          color=LOOKS[method][0], markersize=3.5,
                          fillstyle="full" if key == "held_out" else "none")
        axes.axvline(1.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(order)), order)
        axes.set_title(f"{TITLES[name]}\n{title}", loc="left")
        axes.set_xlabel("KL over the integer program's")
    panels[0].invert_yaxis()
    looks = [Line2D([], [], color=INK, linestyle="none", marker=marker, fillstyle=fill, label=label)
             for marker, fill, label in (("o", "none", "search samples"), ("D", "full", "held out"))]
    figure.legend(handles=looks, loc="outside lower center", ncols=2)
    return figure


if __name__ == "__main__":
    main()
