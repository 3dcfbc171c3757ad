"""Draws what linear.py and decode.py saved: speeds by width, ours and the libraries', in peers.png.

    python reports/kernels/picture.py
"""

import io
import json
import math
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure
from peers import FLOATS, SATURATING, few

from mpsearch.core.io import write

HERE = Path(__file__).parent
WIDTHS = range(2, 9)
COLOURS = {"ORT": "#d55e00", "OpenVINO": "#009e73", "ggml": "#cc79a7", "torch": "#e69f00"}
MARKERS = {"ORT": "s", "OpenVINO": "D", "ggml": "^", "torch": "v"}
OURS = "#0072b2"


def speed(shapes, name):
    """Times as fast as the best float32, the mean over shapes that have it; the median repeat."""
    kept = [each for each in shapes if name in each[0]]
    return median(math.exp(sum(math.log(min(times[own] for own in FLOATS if own in times)
                                        / times[name]) for times in repeat) / len(repeat))
                  for repeat in zip(*kept, strict=True)) if kept else None


def panel(axes, title, shapes):
    axes.plot(WIDTHS, [speed(shapes, f"W{bits}") for bits in WIDTHS], "o-", color=OURS,
              label="mpsearch", zorder=3)
    for bits in WIDTHS:
        for name in few(bits):
            found = speed(shapes, name)
            if found is None:
                continue
            family = name.split()[0]
            axes.plot([bits], [found], MARKERS[family], color=COLOURS[family], label=family,
                      alpha=0.8, fillstyle="none" if name in SATURATING else "full")
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("bits a weight")
    axes.set_ylim(bottom=0)


def main():
    found = json.loads((HERE / "peers.json").read_text(encoding="utf-8"))
    figure = Figure(figsize=(3.4 * len(found), 3.4), layout="constrained")
    all_axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (title, shapes) in zip(all_axes, found.items(), strict=True):
        panel(axes, title, shapes)
    all_axes[0].set_ylabel("times as fast as the best float32")
    labels = {label: line for axes in all_axes
              for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    all_axes[-1].legend(labels.values(), labels.keys(), fontsize=8, loc="upper right")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=130)
    write(HERE / "peers.png", drawn.getvalue())


if __name__ == "__main__":
    main()
