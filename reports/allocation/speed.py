"""Speed and proof of the hull allocator beside other solvers; see speed.md."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from multiprocessing import get_context
from pathlib import Path

import matplotlib
import numpy as np
from speed_instances import KINDS, instance
from speed_peers import SINGLE, SOLVERS, preload, run

from mpsearch.allocation.hull import Hull
from mpsearch.allocation.knapsack.dense import solve_dense
from mpsearch.allocation.problem import Problem

HERE = Path(__file__).parent
SIZES = ((50, 6), (200, 12), (560, 20), (5_000, 20), (50_000, 20))
SEEDS = 3
LIMIT_S = 20.0  # CPU seconds of a peer; twice hull's own limit for its integer program
PEER_KINDS = {50: ("layers", "strong"), 200: ("layers", "heavy"), 560: ("layers", "heavy"),
              5_000: ("layers",), 50_000: ("layers",)}
LARGE = 5_000  # groups from which on there is one strongly correlated instance


def timed(solve, repeats):
    """Best CPU and wall seconds of a few runs, and the last answer."""
    times = []
    for _ in range(repeats):
        if sum(each[0] for each in times) > 1:
            break
        wall, cpu = time.perf_counter(), time.process_time()
        answer = solve()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(times)[0], min(times, key=lambda each: each[1])[1], answer


def problem_of(losses, costs, limits):
    return Problem(losses=tuple(losses), costs=tuple(map(tuple, costs)), limits=tuple(limits),
                   metrics=tuple(f"cost{m}" for m in range(len(limits))))


def ours(tables):
    """What hull does with one instance."""
    losses, costs, limits = tables
    least = math.fsum(losses.min(axis=1))
    row = {}
    start = time.process_time()
    problem = problem_of(*tables)
    row["problem_cpu_s"] = time.process_time() - start
    if len(limits) == 1:
        row["cpu_s"], row["wall_s"], answer = timed(
            lambda: solve_dense(losses, costs, limits), 10)
        row |= {"proven": bool(answer.proven), "low": answer.low, "excess": answer.excess,
                "gap": max(0.0, 1 - answer.low / answer.excess) if answer.excess else 0.0}
    else:
        row["cpu_s"], row["wall_s"], answer = timed(lambda: Hull(time_limit_s=LIMIT_S / 2)(problem),
                                                    3)
        excess = answer.objective - least
        row |= {"proven": answer.status == "optimal", "low": answer.bound - least,
                "excess": excess, "gap": (answer.objective - answer.bound) / excess,
                "note": answer.note}
    return row


def memory(tables):
    """Peak memory of a solve above what was there before, as a multiple of the table's."""
    answers = get_context("fork").SimpleQueue()
    child = get_context("fork").Process(target=_memory, args=(tables, answers))
    child.start()
    child.join()
    return answers.get()


def _memory(tables, answers):
    losses, costs, limits = tables
    problem = problem_of(*tables) if len(limits) > 1 else None
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = _status("VmRSS")
    if problem is None:
        solve_dense(losses, costs, limits)
    else:
        Hull(time_limit_s=0)(problem)
    answers.put((_status("VmHWM") - before) / (losses.nbytes + costs.nbytes))


def _status(key):
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(key))


def judged(found, tables, row):
    """A peer's answer as its share above our bound, and whether it keeps to the limits."""
    losses, costs, limits = tables
    if found.get("choice") is None:
        return found
    choice = found.pop("choice")
    rows = np.arange(len(losses))
    excess = math.fsum(losses[rows, choice] - losses.min(axis=1))
    over = [math.fsum(table[rows, choice]) > limit
            for table, limit in zip(costs, limits, strict=True)]
    return {**found, "above": excess / row["low"] - 1 if row["low"] else 0.0,
            "above_ours": excess / row["excess"] - 1 if row["excess"] else 0.0,
            "over_limit": any(over)}


def cases(counts):
    """Every instance with so many budgets: budgets, groups, schemes, kind and seed."""
    for budgets in counts:
        for groups, schemes in SIZES:
            for kind in KINDS if budgets == 1 else ("layers", "fractions", "heavy"):
                for seed in range(SEEDS):
                    if not ((budgets == 2 and groups == 50_000) or (
                            kind == "strong" and groups >= LARGE and seed)):
                        yield budgets, groups, schemes, kind, seed


def measured(budgets, groups, schemes, kind, seed):
    """What hull does with one instance, and the instance."""
    tables = instance(kind, groups, schemes, budgets, seed)
    row = {"groups": groups, "schemes": schemes, "budgets": budgets, "kind": kind, "seed": seed,
           "hull": ours(tables), "peers": {}}
    if seed == 0 and groups >= 5_000:
        row["memory"] = memory(tables)
    print(groups, schemes, budgets, kind, seed, row["hull"]["cpu_s"], row["hull"]["proven"],
          flush=True)
    return row, tables


def warm():
    """Compile, or load what was compiled."""
    for budgets in (1, 2):
        ours(instance("layers", 5_000, 20, budgets, 99))


def study():
    rows, lost = [], set()
    preload()
    warm()
    for case in cases((1, 2)):
        row, tables = measured(*case)
        budgets, groups, _, kind, seed = case
        for name in SOLVERS if seed == 0 and kind in PEER_KINDS[groups] else ():
            if budgets == 2 and name in SINGLE:
                continue
            if (name, kind, budgets) in lost:
                row["peers"][name] = {"state": "no: out on a smaller one"}
                continue
            found = judged(run(name, tables, LIMIT_S), tables, row["hull"])
            row["peers"][name] = found
            print("   ", name, found, flush=True)
            if "above" not in found:
                lost.add((name, kind, budgets))
        rows.append(row)
        saved(rows)
    return rows


def again(rows, budgets):
    """The *rows* with those of so many budgets measured anew, all but the peers' own numbers."""
    warm()
    old = {tuple(row[key] for key in ("budgets", "groups", "schemes", "kind", "seed")): row
           for row in rows}
    for case in cases((budgets,)):
        row, _ = measured(*case)
        before = old.get(case, row)
        row["peers"] = {name: rebased(found, before["hull"], row["hull"])
                        for name, found in before["peers"].items()}
        row["peers_earlier"] = bool(row["peers"])
        old[case] = row
    return saved([old[case] for case in cases((1, 2)) if case in old])


def rebased(found, before, now):
    """A peer's earlier answer beside what hull finds *now*."""
    if "above" not in found:
        return found
    excess = before["excess"] * (1 + found["above_ours"])
    return {**found, "above": excess / now["low"] - 1 if now["low"] else 0.0,
            "above_ours": excess / now["excess"] - 1 if now["excess"] else 0.0}


def saved(rows):
    (HERE / "results_speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def tables_of(rows):
    """The markdown tables of speed.md."""
    lines = ["| budgets | groups × schemes | kind | proven | CPU ms median | worst | wall ms median "
             "| largest gap |", "|---|---|---|---|---|---|---|---|"]
    for budgets, (groups, schemes), kind in ((b, s, k) for b in (1, 2) for s in SIZES
                                             for k in KINDS):
        mine = [row["hull"] for row in rows if (row["budgets"], row["groups"], row["kind"])
                == (budgets, groups, kind)]
        if mine:
            cpu = [1e3 * row["cpu_s"] for row in mine]
            lines.append(f"| {budgets} | {groups}×{schemes} | {kind} | {sum(r['proven'] for r in mine)}"
                         f" of {len(mine)} | {statistics.median(cpu):.3g} | {max(cpu):.3g} | "
                         f"{1e3 * statistics.median(r['wall_s'] for r in mine):.3g} | "
                         f"{max(r['gap'] for r in mine):.1e} |")
    lines += ["", "| budgets | groups × schemes | kind | hull | " + " | ".join(SOLVERS) + " |",
              "|" + "---|" * (len(SOLVERS) + 4)]
    for row in rows:
        if row["peers"]:
            mine = None if row.get("peers_earlier") else row["hull"]
            cells = [cell(row["peers"].get(name), mine) for name in SOLVERS]
            lines.append(f"| {row['budgets']} | {row['groups']}×{row['schemes']} | {row['kind']} | "
                         f"{row['hull']['cpu_s']:.2g} s | " + " | ".join(cells) + " |")
    lines += ["", "| budgets | groups × schemes | kind | peak memory of a solve, times the table |",
              "|---|---|---|---|"]
    lines += [f"| {row['budgets']} | {row['groups']}×{row['schemes']} | {row['kind']} | "
              f"{row['memory']:.2f} |" for row in rows if "memory" in row]
    return "\n".join(lines) + "\n"


def cell(found, mine):
    """What a peer did; how many times hull's time it took only where both ran together."""
    if found is None:
        return "-"
    if "cpu_s" not in found or "above" not in found:
        return found["state"]
    ratio = f" ({found['cpu_s'] / max(mine['cpu_s'], 1e-9):.0f}×)" if mine else ""
    worse = f", {found['above_ours']:+.1e}" if abs(found["above_ours"]) > 1e-9 else ""
    over = ", over its limit" if found["over_limit"] else ""
    return f"{found['cpu_s']:.2g} s{ratio}, {found['state']}{worse}{over}"


def picture(rows):
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True,
                                             layout="constrained")
    for axis, budgets in ((left, 1), (right, 2)):
        each = [row for row in rows if row["budgets"] == budgets]
        size = lambda row: row["groups"] * row["schemes"]  # noqa: E731
        for proven, marker in ((True, "o"), (False, "x")):
            mine = [row for row in each if row["hull"]["proven"] == proven]
            axis.scatter([size(r) for r in mine], [r["hull"]["cpu_s"] for r in mine], c="black",
                         s=18, marker=marker, label="hull" + ("" if proven else ", gap left"))
        for number, name in enumerate(SOLVERS):
            theirs = [(size(r), r["peers"][name]["cpu_s"]) for r in each
                      if "cpu_s" in r["peers"].get(name, {}) and "above" in r["peers"][name]]
            if theirs:
                axis.scatter(*zip(*theirs), s=18, marker="^", label=name,
                             color=f"C{number}")
        axis.set(xscale="log", yscale="log", xlabel="candidates",
                 title=f"{budgets} budget{'s' if budgets > 1 else ''}")
        axis.grid(alpha=0.3)
    left.set_ylabel("CPU seconds")
    figure.legend(*left.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    figure.savefig(HERE / "speed.png", dpi=120)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--budgets", type=int, choices=(1, 2), help="only hull, only these")
    only = options.parse_args().budgets
    rows = again(json.loads((HERE / "results_speed.json").read_text()), only) if only else study()
    text = HERE / "speed.md"
    head = text.read_text().split("<!-- tables -->")[0] if text.exists() else ""
    text.write_text(head + "<!-- tables -->\n" + tables_of(rows))
    picture(rows)


if __name__ == "__main__":
    main()
