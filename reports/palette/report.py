"""Tables and pictures of results_distances.json: tables.md, gaussian.png and so on.

    python reports/palette/report.py
"""

from __future__ import annotations

import json
from pathlib import Path

from bounds import bits_above, decibels_above
from matplotlib.figure import Figure

from mpsearch.core.io import write

HERE = Path(__file__).parent
WIDEST = 8.6
USUAL_STATES = 12
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
MARKERS = "osD^vP*X"
PUBLISHED = (  # errors on N(0, 1): Max 1960 for lloyd; Q-Palette's, and QTIP's for 12 state bits
    ("lloyd", "source=normal granularity=channel", {2: .1175, 3: .0345, 4: .0095, 5: .0025}),
    ("vector", "dims=2 source=normal", {1.5: .2012, 2: .1086, 3: .0297, 4: .00776}),
    ("trellis", "states=12", {2: .0756, 3: .0212, 4: .0072}),
    ("trellis", "states=16", {2: .0710, 3: .01891, 4: .00590}))


def main():
    rows = json.loads((HERE / "results_distances.json").read_text())["rows"]
    text = [published(rows)]
    for sample in dict.fromkeys(row["sample"] for row in rows):
        own = [row for row in rows if row["sample"] == sample]
        text += [f"## {sample}\n", table(own)]
        picture(own, sample)
    write(HERE / "tables.md", ("\n".join(text)).encode())


def best(rows):
    """With the usual number of state bits, for each kind and width the row nearest to the bound, whatever its other settings."""
    found = {}
    for row in rows:
        if row.get("states", USUAL_STATES) != USUAL_STATES:
            continue
        key = row["kind"], row["bits"]
        gap = bits_above(row["sample"], row["rate"], row["error"])
        if key not in found or gap < found[key][0]:
            found[key] = gap, row
    return {key: row for key, (_, row) in sorted(found.items(), key=lambda each: str(each[0]))}


def table(rows):
    lines = ["Of each kind and width the format nearest to the bound. The rate counts scales, tables "
             "and padding of 512 x 512 numbers.\n",
             "| format | rate | relative squared error | dB above the bound | bits above it |",
             "|---|---:|---:|---:|---:|"]
    for (kind, _), row in sorted(best(rows).items(), key=lambda each: (each[0][0], each[0][1])):
        place = row["sample"], row["rate"], row["error"]
        lines.append(f"| {kind} `{row['format']}` | {row['rate']:.3f} | {row['error']:.3g} | "
                     f"{decibels_above(*place):.2f} | {bits_above(*place):.3f} |")
    return "\n".join(lines) + "\n"


def published(rows):
    """Errors on Gaussian numbers beside published ones, at the same nominal width."""
    lines = ["## Beside published errors on N(0, 1)\n",
             "At the same nominal width, with the settings stated.\n",
             "| kind | bits | published | ours | ours / published |", "|---|---:|---:|---:|---:|"]
    for kind, settings, errors in PUBLISHED:
        for bits, error in errors.items():
            own = [row["error"] for row in rows
                   if row["sample"] == "gaussian" and row["kind"] == kind and row["bits"] == bits
                   and all(part in row["key"].split() for part in settings.split())]
            if own:
                lines.append(f"| `{kind}` {settings} | {bits:g} | {error:g} | {min(own):.4g} | "
                             f"{min(own) / error:.2f} |")
    return "\n".join(lines) + "\n"


def picture(rows, sample):
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    kinds = list(dict.fromkeys(kind for kind, _ in best(rows)))
    for index, kind in enumerate(kinds):
        own = sorted((row["rate"], row["error"]) for (name, _), row in best(rows).items()
                     if name == kind and row["rate"] <= WIDEST)
        line = [(rate, decibels_above(sample, rate, error)) for at, (rate, error) in enumerate(own)
                if all(error < less for _, less in own[:at])]
        axes.plot(*zip(*line, strict=True), label=kind, lw=1.2, ms=4,
                  color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
                  ls=("-", "--")[index // len(COLOURS)])
    axes.set(xlabel="bits a number, scales and tables counted", ylabel="dB above the bound",
             title=f"Distance to the bound: {sample} numbers")
    heights = [height for line in axes.lines for height in line.get_ydata()]
    low = max(0, min(heights) - 1)
    axes.set_ylim(low, min(low + 16, max(heights) + 1))
    axes.set_xlim(1, WIDEST)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(HERE / f"{sample}.png", dpi=120)


if __name__ == "__main__":
    main()
