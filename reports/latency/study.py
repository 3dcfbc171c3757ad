"""Predicted against measured milliseconds of twenty policies, in real integers on one thread.

    OMP_NUM_THREADS=1 python reports/latency/study.py --weights vit_tiny_patch16_224.safetensors \
        --data imagenet_sample

Ten policies are drawn at random from space.toml (weights of 2 to 8 bits with 8-bit activations, or
float; products of attention in 8 bits or float), ten are allocated within budgets of milliseconds
or bits. Each runs in integers, and takes turns with the runs that `mpsearch profile` makes its table
from; both sides keep the shortest time of every operation. Writes results.json, table.md and
predicted.png beside this file. Interrupted, it goes on where it stopped; --again measures anew.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.io import write
from mpsearch.core.machine import Timing
from mpsearch.cost.latency import latency
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import schemes_of, totals_of
from mpsearch.steps.laps import on_threads, shortest
from mpsearch.steps.measure import measure
from mpsearch.steps.offered import offered_by, ranges_for
from mpsearch.steps.profile import ProfilePlan, profile
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.steps.timings import read
from mpsearch.steps.walks import plan
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
ESTIMATOR = "fisher"
RANDOM = 10
SHARES = (0.02, 0.1, 0.25, 0.5, 0.8)
BITS = ("2.5bpw", "3.5bpw", "4.5bpw", "6bpw", "8bpw")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workspace", default=".mpsearch")
    parser.add_argument("--calibration-samples", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    return parser.parse_args()


def main():
    args = arguments()
    session = open_session(args.model, Workspace(args.workspace), {
        "weights": args.weights, "data": args.data, "space": str(HERE / "space.toml"),
        "calibration_samples": args.calibration_samples})
    # Few rounds: these times only decide what the budgets in milliseconds choose.
    made = profile(session, ProfilePlan(provider="integer", threads=(args.threads,), rounds=2), bar)
    measured = measure(session, [ESTIMATOR], bar, device=f"host(threads={args.threads})")
    policies = choices(measured)
    walks, spoken = planned(session, made)
    runs = built(session, made, walks, policies)
    about = {"cpu": made.table.cpu, "versions": made.table.versions, "threads": args.threads,
             "model": args.model, "policies": {label: list(policies[label]) for label in policies}}
    best = shortest_of(runs, made.flow, args, about)
    rows = read(made.flow, walks, [best[str(number)][0] for number in range(len(walks))], spoken)
    table = replace(made.table, rows=tuple(
        Timing(operation=key[0], shape=key[1], scheme=key[2], batch=1, threads=args.threads,
               milliseconds=each) for key, each in rows.items()))
    predicted = latency(made.record.space, made.flow, table, threads=args.threads)
    found = [{"label": label, "bits_per_weight": totals_of(
                  measured, choice, measured.tables[ESTIMATOR]).bits_per_weight,
              "predicted": predicted.total(choice), "measured": sum(best[label][0]),
              "whole": best[label][1]} for label, choice in policies.items()]
    floor = predicted.total(tuple(row.index(min(row)) for row in predicted.table.values))
    write(HERE / "results.json", (json.dumps(
        {"about": {**about, "rounds": args.rounds, "floor": floor}, "rows": found},
        indent=1) + "\n").encode())
    report(found, floor, about)


def planned(session, made):
    """The runs of `mpsearch profile`, and which schemes each speaks for."""
    space = made.record.space
    offered = offered_by(plugins.make("provider", "integer"), session.captured, made.flow, space,
                         set(made.flow.needed(space)))
    return plan(made.flow, offered.menus), offered.spoken


def shortest_of(runs, flow, args, about):
    """By label: the shortest times of all operations, and of a whole pass in CPU time."""
    store = Path(args.workspace) / f"latency_study_{args.threads}.json"
    known = json.loads(store.read_text()) if store.exists() and not args.again else {}
    best, done = (known["best"], known["rounds"]) if known.get("about") == about else ({}, 0)
    with on_threads(args.threads), bar("measuring", args.rounds) as step:
        for turn in range(args.rounds):
            if turn >= done:
                for label, run in runs.items():
                    parts, whole = shortest(run, flow), pass_of(run)
                    old = best.get(label, (parts, whole))
                    best[label] = list(map(min, parts, old[0])), min(whole, old[1])
                write(store, json.dumps({"about": about, "best": best,
                                         "rounds": turn + 1}).encode())
            step(1)
    return best


def pass_of(run):
    import torch

    with torch.inference_mode():
        start = time.process_time_ns()
        run()
        return (time.process_time_ns() - start) / 1e6


def choices(measured):
    """Ten policies at random and ten that an integer program chose, by name."""
    groups = measured.record.space.groups
    draw = random.Random(0)
    found = {"float": tuple(len(group.schemes) - 1 for group in groups)}
    for number in range(RANDOM):
        found[f"random {number + 1}"] = tuple(draw.randrange(len(group.schemes))
                                              for group in groups)
    timed = measured.costing.latency
    low = timed.total(tuple(row.index(min(row)) for row in timed.table.values))
    high = timed.total(found["float"])
    for share in SHARES:
        limit = round(low + share * (high - low), 2)
        found[f"{limit:g} ms"] = chosen(measured, f"{limit}ms")
    for text in BITS:
        found[text.replace("bpw", " bpw")] = chosen(measured, text)
    return found


def chosen(measured, budget):
    return allocate(measured, ESTIMATOR, [Budget.parse(budget)]).selection.choice


def built(session, made, walks, policies):
    """What runs each walk and each policy on one image."""
    backend, captured = plugins.make("backend", "integer"), session.captured
    image = session.calibration.batches[0].args[0][:1]
    space, ranges = made.record.space, made.record.ranges
    schemes = {str(number): walk.schemes for number, walk in enumerate(walks)}
    schemes |= {label: schemes_of(space, choice) for label, choice in policies.items()}
    return {label: partial(backend(captured.program, captured.fake, each,
                                   ranges_for(ranges, each)), image)
            for label, each in schemes.items()}


def report(rows, floor, about):
    lines = ["| policy | bits per weight | predicted ms | measured ms | off by | whole passes ms |",
             "|---|---:|---:|---:|---:|---:|"]
    off = {}
    for each in rows:
        off[each["label"]] = each["predicted"] / each["measured"] - 1
        lines.append(f"| {each['label']} | {each['bits_per_weight']:.2f} | {each['predicted']:.2f} "
                     f"| {each['measured']:.2f} | {100 * off[each['label']]:+.1f} % "
                     f"| {each['whole']:.2f} |")
    worst = max(off, key=lambda label: abs(off[label]))
    mean = sum(map(abs, off.values())) / len(off)
    lines += ["", (f"Off by {100 * mean:.1f} % on average and {100 * off[worst]:+.1f} % at worst "
              f"({worst}). The least that any policy of the space takes is {floor:.2f} ms. "
              f"{about['cpu']}, {about['threads']} thread(s), "
              f"{', '.join(f'{k} {v}' for k, v in about['versions'].items())}.")]
    text = "\n".join(lines) + "\n"
    write(HERE / "table.md", text.encode())
    picture(rows)
    print(text)


def picture(rows):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    looks = (("float", "#000000", "s"), ("random", "#0072b2", "o"), ("ms", "#009e73", "D"),
             ("bpw", "#d55e00", "^"))
    for name, colour, marker in looks:
        own = [each for each in rows if name in each["label"].split() and (
                   name != "float" or each["label"] == "float")]
        axes.scatter([each["measured"] for each in own], [each["predicted"] for each in own],
                     color=colour, marker=marker, s=28, zorder=3,
                     label={"ms": "within a latency", "bpw": "within a size"}.get(name, name))
    ends = [f(each[key] for each in rows for key in ("predicted", "measured"))
            for f in (min, max)]
    line = [ends[0] * 0.95, ends[1] * 1.05]
    axes.plot(line, line, color="#666666", linewidth=1, label="as predicted")
    axes.fill_between(line, [x * 0.95 for x in line], [x * 1.05 for x in line],
                      color="#666666", alpha=0.15, label="within 5 %")
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("predicted, ms")
    axes.set_title("ViT-Tiny/16, one image, integer backend", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(HERE / "predicted.png", dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
