"""Does the scale of the scores change the answer? Allocators and other tools' solvers, stressed.

    python reports/allocation/scale.py [--allocators dynamic,ilp] [--instances 20]

Twenty layers of 1 to 32 units, formats of 2, 4, 8 and 16 bits, scores that fall from 2 to 16 bits as
1 : 2.1e-2 : 6.5e-5 : 0, a budget of 4.5 bits on average; a layer's 2-bit score is log-normal (sigma
1.5) around the scale. The referee is a table over all sums of costs. Solvers of nvidia-modelopt and
model-compression-toolkit are their own if those are installed. Writes results_scale.json, scale.md
and scale.png; takes a minute or two.
"""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from scale_peers import PEERS

from mpsearch import plugins
from mpsearch.allocation.problem import Problem

HERE = Path(__file__).parent
SCALES = (1e3, 1.0, 1e-3, 1e-5, 1e-7, 1e-9, 1e-12)
BITS, RATIOS = np.array([2, 4, 8, 16]), np.array([1.0, 2.1e-2, 6.5e-5, 0.0])
LAYERS, BUDGET, SIGMA, WRONG = 20, 4.5, 1.5, 1e-3
BASELINES = ("greedy", "greedy(order=list)")
EXACT = ("dynamic", "hull", "ilp")


def instance(scale, seed):
    """Scores and costs, cheapest first, and the limit."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 33, LAYERS)
    heights = scale * np.exp(SIGMA * draw.normal(size=LAYERS))
    return heights[:, None] * RATIOS, sizes[:, None] * BITS, int(BUDGET * sizes.sum())


def referee(scores, costs, limit):
    """The least total score, from a table of the best for each sum of costs."""
    best = np.zeros(limit + 1)
    for row, spend in zip(scores, costs, strict=True):
        ways = [np.concatenate([np.full(min(c, best.size), np.inf), best[:max(0, best.size - c)]])
                + s for s, c in zip(row, spend, strict=True)]
        best = np.min(ways, axis=0)
    return float(best.min())


def ours(name):
    allocator = plugins.make("allocator", name)

    def solve(scores, costs, limit):
        selection = allocator(Problem(
            losses=tuple(map(np.array, scores)), costs=(tuple(map(np.array, costs)),),
            limits=(limit,), metrics=("size",)))
        return selection.choice, selection.status
    return solve


def row(solve, scale, count):
    """What *solve* makes of *count* instances of one scale."""
    ratios, used, said, errors = [], [], 0, []
    for seed in range(count):
        scores, costs, limit = instance(scale, seed)
        try:
            choice, status = solve(scores.tolist(), costs.tolist(), limit)
        except Exception as error:  # whatever a tool raises is its result
            errors.append(f"{type(error).__name__}: {error}")
            continue
        score = sum(line[k] for line, k in zip(scores, choice, strict=True))
        ratios.append(float(score / referee(scores, costs, limit)))
        used.append(float(sum(line[k] for line, k in zip(costs, choice, strict=True)) / limit))
        said += status.lower() == "optimal"
    return {"instances": count, "suboptimal": sum(each > 1 + WRONG for each in ratios),
            "above_1e-9": sum(each > 1 + 1e-9 for each in ratios),
            "over_budget": sum(each > 1 for each in used), "called_optimal": said,
            "median_ratio": float(np.median(ratios)), "worst_ratio": max(ratios),
            "median_used": float(np.median(used)), "errors": errors}


def table(results):
    """A line a solver: at each scale how many are wrong, and the median and worst ratio."""
    names = [f"{scale:g}" for scale in SCALES]
    lines = [f"| solver | {' | '.join(names)} | called optimal | over budget |",
             "|---" * (len(names) + 3) + "|"]
    for name, rows in results["rows"].items():
        cells = [f"{each['suboptimal']} ({each['median_ratio']:.3g}, {each['worst_ratio']:.3g})"
                 for each in (rows[scale] for scale in names)]
        total = sum(each["instances"] for each in rows.values())
        for what in ("called_optimal", "over_budget"):
            cells.append(f"{sum(each[what] for each in rows.values())}/{total}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(results):
    import matplotlib as mpl
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for place, (name, rows) in enumerate(results["rows"].items()):
        exact = name in EXACT
        axes.loglog([float(scale) for scale in rows], [r["median_ratio"] for r in rows.values()],
                    marker="osd^vx*P"[place % 8], linewidth=2.5 if exact else 1.2, label=name,
                    color="black" if exact else None, zorder=3 if exact else 2)
    axes.invert_xaxis()
    axes.set_xlabel("median 2-bit score of a layer")
    axes.set_ylabel("total score / least possible (median)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(HERE / "scale.png", dpi=120)


def versions():
    found = {"python": platform.python_version()}
    for name in ("pulp", "highspy", "scipy", "nvidia-modelopt", "model-compression-toolkit"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed: its call of the solver is reproduced"
    return found


def main():
    registered = [name for name in EXACT if name in plugins.names("allocator")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allocators", default=",".join(registered))
    parser.add_argument("--instances", type=int, default=20)
    args = parser.parse_args()
    solvers = {name: ours(name) for name in (*plugins.listed(args.allocators), *BASELINES)} | PEERS
    results = {"versions": versions(), "rows": {
        name: {f"{scale:g}": row(solve, scale, args.instances) for scale in SCALES}
        for name, solve in solvers.items()}}
    (HERE / "results_scale.json").write_text(json.dumps(results, indent=1) + "\n")
    text = (HERE / "scale.md").read_text() if (HERE / "scale.md").exists() else "# Scale\n\n| solver |"
    head = text[:text.index("| solver |")]
    (HERE / "scale.md").write_text(head + table(results) + "\n")
    picture(results)


if __name__ == "__main__":
    main()
