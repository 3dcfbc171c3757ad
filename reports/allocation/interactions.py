"""Interactions: `coupled` beside the linearised integer program, and the low-rank gap.

    python reports/allocation/interactions.py            # measures; about 5 minutes
    python reports/allocation/interactions.py --draw     # the picture and tables from the results
"""

import itertools
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mpsearch.allocation import program
from mpsearch.allocation.core import Core
from mpsearch.allocation.coupled import Coupled
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem

HERE = Path(__file__).parent
RESULTS = HERE / "results_interactions.json"
LIMIT_S = 60.0
BITS = np.array([2.0, 3.0, 4.0, 5.0, 6.0, 8.0])


def budget(costs, share):
    floor, ceiling = (sum(pick(row) for row in costs) for pick in (np.min, np.max))
    return float(np.floor(floor + share * (ceiling - floor)))


def blocks(seed, groups, block, strength=0.5):
    """Layers in blocks of all pairs, the last of a block paired with the first of the next."""
    draw = np.random.default_rng(seed)
    losses = [10.0 ** draw.uniform(-2.5, 0) * 4.0 ** -(BITS - 2) * np.exp(draw.normal(0, 0.2, 6))
              for _ in range(groups)]
    costs = tuple(size * 1024 * BITS for size in draw.integers(1, 64, groups))
    pairs = []
    for i, j in itertools.combinations(range(groups), 2):
        if i // block == j // block or j == i + 1:
            scale = np.sqrt(np.outer(losses[i], losses[j]))
            pairs.append(Pair(first=i, second=j, values=scale * draw.normal(0, strength)
                              * np.exp(draw.normal(0, 0.3, scale.shape))))
    return Problem(losses=tuple(losses), costs=(costs,), metrics=("size",), pairs=tuple(pairs),
                   limits=(budget(costs, 0.3),))


def low_rank(seed, strength, groups=200, schemes=12, rank=64):
    """Each scheme's change mostly along one direction of its layer; *strength*² of its loss."""
    draw = np.random.default_rng(seed)
    bits = np.linspace(2, 8, schemes)
    losses = tuple(10.0 ** draw.uniform(-2, 0) * 4.0 ** -(bits - 2)
                   * np.exp(draw.normal(0, 0.1, schemes)) for _ in range(groups))
    columns = []
    for row in losses:
        along = draw.normal(size=(rank, 1))
        change = along / np.linalg.norm(along) + 0.3 * draw.normal(size=(rank, schemes)) / rank**0.5
        columns.append(strength * np.sqrt(row) * change / np.linalg.norm(change, axis=0))
    costs = tuple(size * 1024 * bits for size in draw.integers(1, 64, groups))
    return Problem(losses=losses, costs=(costs,), metrics=("size",), limits=(budget(costs, 0.3),),
                   factor=np.concatenate(columns, axis=1))


def timed(call):
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def sparse_rows():
    Coupled()(blocks(9, 14, 7))  # imports, and memory
    for groups, block, seeds in ((49, 7, 3), (200, 5, 3), (200, 7, 1)):
        for seed in range(seeds):
            problem = blocks(seed, groups, block)
            solve = Coupled()
            runs = [timed(lambda: solve(problem)) for _ in range(3)]
            best, wall, cpu = min(runs, key=lambda run: run[1])
            plain = Ilp()(replace(problem, pairs=()))
            row = {"groups": groups, "block": block, "seed": seed, "wall_s": wall, "cpu_s": cpu,
                   "objective": best.objective, "bound": best.bound, "status": best.status,
                   "additive_excess": problem.objective(plain.choice) / best.objective - 1}
            if seed == 0 or groups == 49:
                for solver in ("HiGHS", "PULP_CBC_CMD"):
                    answer, wall, _ = timed(lambda: program.solve(
                        Core.of(problem), solver=solver, seconds=LIMIT_S))
                    fits = answer.choice is not None and problem.meets(answer.choice)
                    row[solver] = {"wall_s": wall, "excess": (problem.objective(answer.choice)
                                   / best.objective - 1) if fits else None}
            print(row, flush=True)
            yield row


def dense_rows():
    for strength, seed in itertools.product((0.3, 0.6, 0.9), range(2)):
        problem = low_rank(seed, strength)
        solve = Coupled()
        best, wall, cpu = timed(lambda: solve(problem))
        plain = Ilp()(replace(problem, factor=None))
        row = {"strength": strength, "seed": seed, "wall_s": wall, "cpu_s": cpu,
               "objective": best.objective, "bound": best.bound, "status": best.status,
               "gap": (best.objective - best.bound) / best.objective,
               "additive_excess": problem.objective(plain.choice) / best.objective - 1}
        print(row, flush=True)
        yield row


def tables(results):
    """The two tables of interactions.md."""
    def peer(row, name):
        found = row.get(name)
        if found is None:
            return "-"
        excess = "nothing found" if found["excess"] is None else f"{found['excess']:+.2%}"
        return f"{found['wall_s']:.1f} s, {excess}"

    yield ("| groups × 6, blocks of | seed | coupled: wall, CPU | status | HiGHS | CBC "
           "| additive choice |")
    yield "|---|---|---|---|---|---|---|"
    for row in results["sparse"]:
        yield (f"| {row['groups']}, {row['block']} | {row['seed']} | {row['wall_s']:.2f} s, "
               f"{row['cpu_s']:.2f} s | {row['status']} | {peer(row, 'HiGHS')} | {peer(row, 'PULP_CBC_CMD')} "
               f"| {row['additive_excess']:+.0%} |")
    yield ""
    yield "| share of the loss in the factor | seed | coupled | gap | additive choice |"
    yield "|---|---|---|---|---|"
    for row in results["dense"]:
        yield (f"| {row['strength'] ** 2:.0%} | {row['seed']} | {row['wall_s']:.1f} s "
               f"| {row['gap']:.2%} | {row['additive_excess']:+.1%} |")


def draw(results):
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    rows = [row for row in results["sparse"] if row["seed"] == 0]
    place = np.arange(len(rows))
    for shift, (name, label) in enumerate((("coupled", "coupled (proven)"), ("HiGHS", "HiGHS"),
                                           ("PULP_CBC_CMD", "CBC"))):
        values = [row["wall_s"] if name == "coupled" else row[name]["wall_s"] for row in rows]
        left.bar(place + 0.27 * (shift - 1), values, 0.25, label=label)
    left.set(yscale="log", ylim=(0.05, 200), ylabel="seconds", title=f"sparse pairs (limit {LIMIT_S:g} s)")
    left.set_xticks(place, [f"{r['groups']}×6,\nblocks of {r['block']}" for r in rows])
    left.legend(fontsize=8)
    for row in results["dense"]:
        right.plot(row["strength"] ** 2 * 100, row["gap"] * 100, "o", color="C0")
        right.plot(row["strength"] ** 2 * 100, row["additive_excess"] * 100, "x", color="C3")
    right.plot([], [], "o", color="C0", label="gap of coupled")
    right.plot([], [], "x", color="C3", label="additive choice, above coupled")
    right.set(yscale="log", xlabel="share of the loss in the factor, %", ylabel="%",
              title="200×12, rank 64")
    right.legend(fontsize=8)
    figure.savefig(HERE / "interactions.png", dpi=110)


if __name__ == "__main__":
    if "--draw" not in sys.argv:
        found = {"sparse": list(sparse_rows()), "dense": list(dense_rows())}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    found = json.loads(RESULTS.read_text())
    draw(found)
    print("\n".join(tables(found)))
