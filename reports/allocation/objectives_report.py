"""The table of what each objective picks, from results_objectives_*.json beside this file.

    python reports/allocation/objectives_report.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent


def main():
    found = {path.stem.removeprefix("results_objectives_"): json.loads(path.read_text())
             for path in sorted(HERE.glob("results_objectives_*.json"))}
    print("\n".join(line for name, each in found.items() for line in table(name, each)))
    print("\n".join(summary(found)))
    picture(found)


def table(name, document):
    budgets = document["budgets"]
    yield f"\n{name}: measured KL (predicted), held-out samples\n"
    yield "| objective | " + " | ".join(f"{budget} bpw" for budget in budgets) + " |"
    yield "|---|" + "---:|" * len(budgets)
    for label in next(iter(budgets.values())):
        yield f"| {label} | " + " | ".join(
            f"{each[label]['kl']:.3g} ({each[label]['predicted']:.2g}){mark(each[label])}"
            for each in budgets.values()) + " |"


def mark(row):
    against = row["against_additive"]
    return " +" if against["high"] < 0 else " −" if against["low"] > 0 else ""


def summary(found):
    yield "\n| objective | KL against additive, geometric mean | better | worse | of |"
    yield "|---|---:|---:|---:|---:|"
    for label, rows in collected(found).items():
        ratios = [np.log(row["kl"] / base["kl"]) for row, base in rows]
        marks = [mark(row) for row, _ in rows]
        yield (f"| {label} | {np.exp(np.mean(ratios)):.3f} | {marks.count(' +')} | "
               f"{marks.count(' −')} | {len(rows)} |")


def collected(found):
    rows = {}
    for document in found.values():
        for each in document["budgets"].values():
            for label, row in each.items():
                rows.setdefault(label, []).append((row, each["additive"]))
    return rows


def picture(found):
    figure = Figure(figsize=(4.2 * len(found), 3.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (name, document) in zip(panels, found.items(), strict=True):
        budgets = document["budgets"]
        for label in next(iter(budgets.values())):
            ratio = [each[label]["kl"] / each["additive"]["kl"] for each in budgets.values()]
            axes.plot([float(budget) for budget in budgets], ratio, "o-", label=label,
                      markersize=4, linewidth=1.2)
        axes.set_xlabel("bits per weight")
        axes.set_title(name, loc="left", fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("measured KL, relative to additive")
    panels[-1].legend(fontsize=7)
    figure.savefig(HERE / "objectives.png", dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
