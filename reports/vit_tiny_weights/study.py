"""Three estimators against uniform precision on a trained ViT-Tiny, weights only.

    python reports/vit_tiny_weights/study.py --weights vit_tiny_patch16_224.safetensors \
        --data imagenet_sample

Scores come from the calibration split, every number in the table from the evaluation split.
Writes results.json, table.md, front.png and front.svg beside this file. Interrupted, it goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mpsearch.core.budget import Budget
from mpsearch.core.io import to_data, write
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import runnable, totals_of, uniform_choices
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
ESTIMATORS = ("weight_error", "fisher", "kl_probe")
HALVES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--evaluation-samples", type=int, default=744)
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    args = arguments()
    session = open_session(args.model, Workspace(args.workspace), {
        "weights": args.weights, "data": args.data,
        "calibration_samples": args.calibration_samples,
        "evaluation_samples": args.evaluation_samples})
    measured = measure(session, ESTIMATORS, bar)
    uniform = {label: choice for label, choice in uniform_choices(measured.record.space).items()}
    any_table = measured.tables["weight_error"]
    sizes = {label: totals_of(measured, choice, any_table) for label, choice in uniform.items()}
    in_range = {label: t for label, t in sizes.items() if 2.9 <= t.bits_per_weight <= 6.2}
    # The same bytes as each uniform policy, and the round budgets between them.
    budgets = sorted({*HALVES, *(t.bits_per_weight for t in in_range.values())})
    choices = {}
    for estimator in ESTIMATORS:
        for bits in budgets:
            budget = Budget(metric="bits_per_weight", limit=bits, text=f"{bits!r}bpw")
            allocation = allocate(measured, estimator, [budget])
            choices[f"{estimator} {bits:.3f}"] = allocation.selection.choice
    everything = {**{label: uniform[label] for label in in_range}, **choices}
    found = measure_policies(session, {label: runnable(measured, choice)
                                       for label, choice in everything.items()}, bar)
    rows = [row(measured, label, everything[label], found[label]) for label in everything]
    for entry in rows:
        entry["against_uniform"] = against(entry, in_range, found)
    document = {"arguments": {"model": args.model, "calibration": args.calibration_samples,
                              "evaluation": found[rows[0]["label"]].evaluation.samples},
                "rows": rows, "pairs": pairs(budgets, found)}
    write(HERE / "results.json", (json.dumps(document, indent=1) + "\n").encode())
    write(HERE / "table.md", table(rows, budgets, in_range).encode())
    picture(rows)
    print((HERE / "table.md").read_text())


def row(measured, label, choice, measurement):
    totals = totals_of(measured, choice, measured.tables["weight_error"])
    return {"label": label, "bits_per_weight": totals.bits_per_weight,
            "file_bytes": totals.file_bytes, **to_data(measurement.evaluation)}


def against(entry, in_range, found):
    """The largest uniform policy that weighs no more, and the paired interval of the difference."""
    fitting = [label for label, totals in in_range.items()
               if totals.bits_per_weight <= entry["bits_per_weight"] + 1e-9
               and label != entry["label"]]
    # An allocation at a uniform policy's own budget may weigh a little less than it.
    own = [label for label, totals in in_range.items()
           if entry["label"].endswith(f"{totals.bits_per_weight:.3f}")]
    if entry["label"].startswith("uniform") or not fitting + own:
        return None
    label = (own or sorted(fitting, key=lambda each: in_range[each].bits_per_weight))[-1]
    result = compare(found[entry["label"]].kl, found[label].kl)
    return {"uniform": label, "ratio": entry["kl"] / found[label].evaluation.kl,
            "low": result.low, "high": result.high, "verdict": result.verdict}


def pairs(budgets, found):
    """kl_probe and fisher against each other and against weight_error, paired."""
    lines = []
    for bits in budgets:
        for this, that in (("fisher", "weight_error"), ("kl_probe", "weight_error"),
                           ("kl_probe", "fisher")):
            result = compare(found[f"{this} {bits:.3f}"].kl, found[f"{that} {bits:.3f}"].kl)
            lines.append({"bits": bits, "this": this, "that": that,
                          "difference": result.difference, "low": result.low,
                          "high": result.high, "verdict": result.verdict})
    return lines


def table(rows, budgets, in_range):
    by_label = {entry["label"]: entry for entry in rows}
    own = {f"{totals.bits_per_weight:.3f}": label for label, totals in in_range.items()}
    lines = ["| bits per weight | uniform | weight_error | fisher | kl_probe |",
             "|---:|---:|---:|---:|---:|"]
    for bits in budgets:
        label = own.get(f"{bits:.3f}")
        cells = [cell(by_label[label]) + f" ({label.removeprefix('uniform ')})" if label else "-"]
        cells += [cell(by_label[f"{name} {bits:.3f}"]) for name in ESTIMATORS]
        lines.append(f"| {bits:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(entry):
    mark = {"better": " +", "worse": " −", "same": " =", None: ""}[
        (entry.get("against_uniform") or {}).get("verdict")]
    return (f"{entry['kl']:.4f} ± {entry['kl_stderr']:.4f}, {100 * entry['top1']:.1f} %{mark}")


def picture(rows):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    looks = {"uniform": ("#d55e00", "s"), "weight_error": ("#999999", "v"),
             "fisher": ("#0072b2", "o"), "kl_probe": ("#009e73", "D")}
    for name, (colour, marker) in looks.items():
        own = sorted((r for r in rows if r["label"].split()[0] == name),
                     key=lambda r: r["bits_per_weight"])
        axes.errorbar([r["bits_per_weight"] for r in own], [r["kl"] for r in own],
                      yerr=[r["kl_stderr"] for r in own], color=colour, marker=marker,
                      markersize=5, capsize=2, linewidth=1.2,
                      linestyle="none" if name == "uniform" else "-", label=name,
                      zorder=3 if name == "uniform" else 2)
    axes.set_yscale("log")
    axes.set_xlabel("bits per weight, scales and padding included")
    axes.set_ylabel("KL(float ‖ quantized) on the evaluation split, nats")
    axes.set_title("ViT-Tiny/16, weights only, per output channel, {2,3,4,5,6,8} bits",
                   loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(title="scores of the allocation")
    figure.savefig(HERE / "front.png", dpi=150, metadata={"Software": None})
    figure.savefig(HERE / "front.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
