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
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
MARKERS = "osD^vP*X"
PUBLISHED = {  # relative squared error on N(0, 1): Max 1960 for lloyd; Q-Palette's table otherwise
    ("lloyd", 2): .1175, ("lloyd", 3): .0345, ("lloyd", 4): .0095, ("lloyd", 5): .0025,
    ("vector", 1.5): .2012, ("vector", 2): .1086, ("vector", 3): .0297, ("vector", 4): .00776,
    ("trellis", 1.5): .1403, ("trellis", 2): .0710, ("trellis", 2.5): .0363,
    ("trellis", 3): .01891, ("trellis", 3.5): .01018, ("trellis", 4): .00590,
    ("trellis", 4.5): .00303, ("trellis", 5): .00162}


def main():
    rows = json.loads((HERE / "results_distances.json").read_text())["rows"]
    text = [published(rows)]
    for sample in dict.fromkeys(row["sample"] for row in rows):
        own = [row for row in rows if row["sample"] == sample]
        text += [f"## {sample}\n", table(own)]
        picture(own, sample)
    write(HERE / "tables.md", ("\n".join(text)).encode())


def best(rows):
    """For each kind and width the row nearest to the bound, whatever its other settings."""
    found = {}
    for row in rows:
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
             "The least error of any setting at the same width; `trellis` has so many state bits as "
             "stated.\n",
             "| kind | bits | published | ours | ours / published |", "|---|---:|---:|---:|---:|"]
    for (kind, bits), error in PUBLISHED.items():
        own = [row for row in rows if row["sample"] == "gaussian" and row["kind"] == kind
               and row["bits"] == bits and (kind != "vector" or "dims=2" in row["key"])]
        for states in sorted({row.get("states", 0) for row in own}):
            least = min(row["error"] for row in own if row.get("states", 0) == states)
            name = f"{kind}, {states} state bits" if states else kind
            lines.append(f"| {name} | {bits:g} | {error:g} | {least:.4g} | {least / error:.2f} |")
    return "\n".join(lines) + "\n"


def picture(rows, sample):
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    kinds = list(dict.fromkeys(kind for kind, _ in best(rows)))
    for index, kind in enumerate(kinds):
        line = sorted((row["rate"], decibels_above(sample, row["rate"], row["error"]))
                      for (own, _), row in best(rows).items() if own == kind and row["rate"] <= 8.6)
        axes.plot(*zip(*line, strict=True), label=kind, lw=1.2, ms=4,
                  color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
                  ls=("-", "--")[index // len(COLOURS)])
    axes.set(xlabel="bits a number, scales and tables counted", ylabel="dB above the bound",
             title=f"Distance to the bound: {sample} numbers")
    axes.set_ylim(0, min(20, axes.get_ylim()[1]))
    axes.set_xlim(1, 8.6)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(HERE / f"{sample}.png", dpi=120)


if __name__ == "__main__":
    main()
