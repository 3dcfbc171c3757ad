"""Tables and pictures from results_*.json, beside this file.

    python reports/estimators/report.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
CASES = ("vit_tiny_weights", "vit_tiny_activations", "resnet20_weights", "resnet20_activations",
         "digits_weights", "digits_activations")
COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#b8a500")
MARKERS = ("o", "o", "s", "s", "D", "D")


def main():
    found = {case: json.loads(path.read_text()) for case in CASES
             if (path := HERE / f"results_{case}.json").exists()}
    cost_file = HERE / "results_cost.json"
    cost = json.loads(cost_file.read_text()) if cost_file.exists() else None
    text = [summary(found, cost), verdict(found)]
    for case, document in found.items():
        text += [f"## {case}\n", predictions(document), picks(document), extras(document)]
    (HERE / "tables.md").write_text("\n".join(text))
    correlations(found)
    chosen(found)
    if cost:
        costs(found, cost)
    if any(document.get("convergence") for document in found.values()):
        converging(found)


def names_of(found):
    names = dict.fromkeys(name for document in found.values() for name in document["predictions"])

    def score(name):
        own = [document["predictions"][name]["near_within"]["value"]
               for document in found.values() if name in document["predictions"]]
        return -float(np.mean(own))

    return sorted(names, key=score)


def summary(found, cost):
    """A row an estimator: cost, and its rank correlation near the optimum in each case."""
    heads = ["estimator", "forward passes", "peak MiB", *found]
    lines = ["## Summary\n", "Rank correlation with measured KL among near-optimal policies of one "
             "budget, mean over budgets; the cost in forward passes of the data, and the memory it "
             "takes beside the model (ViT-Tiny, batches of 2).\n",
             "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in names_of(found):
        row = paid_for(cost, name)
        cells = [f"`{name}`", f"{row['forwards_by_operations']:.1f}" if row else "-",
                 f"{row['peak_mib']:.0f}" if row and "peak_mib" in row else "-"]
        for document in found.values():
            own = document["predictions"].get(name)
            cells.append(f"{own['near_within']['value']:.2f}" if own else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def verdict(found):
    """Each estimator's picks against those of kl_probe, over all cases and budgets."""
    ratios, marks = {}, {}
    for document in found.values():
        for budget in document["picks"].values():
            for label, row in budget["rows"].items():
                name = "uniform" if label.startswith("uniform") else label
                base = budget["rows"]["kl_probe"]["kl"]
                ratios.setdefault(name, []).append(np.log(row["kl"] / base))
                against = row["against_kl_probe"]
                marks.setdefault(name, []).append(
                    (against["high"] < 0, against["low"] > 0))
    lines = ["## What integer programs make of them\n", "KL of the picks relative to those of "
             "`kl_probe`, geometric mean over all budgets of all cases the estimator can score; at "
             "how many it is better and worse beyond noise.\n",
             "| scores | KL of the picks | better | worse | of |", "|---|---:|---:|---:|---:|"]
    for name in sorted(ratios, key=lambda name: np.mean(ratios[name])):
        better, worse = np.sum(marks[name], axis=0)
        lines.append(f"| `{name}` | {np.exp(np.mean(ratios[name])):.2f} | {better} | {worse} | "
                     f"{len(ratios[name])} |")
    return "\n".join(lines) + "\n"


def paid_for(cost, name):
    """The cost of one estimator, or of the pass it shares."""
    name = name.removesuffix(" with interactions")
    rows = cost["rows"] if cost else {}
    return rows.get(name) or next((row for names, row in rows.items() if names.startswith(
        "kl_probe") and name in names.split(",")), None)


def predictions(document):
    lines = ["| estimator | random | near-optimal | within a budget (95 %) | predicted / measured, "
             "near | slope, near |", "|---|---:|---:|---:|---:|---:|"]
    order = sorted(document["predictions"].items(), key=lambda e: -e[1]["near_within"]["value"])
    for name, row in order:
        near, own = row["near_within"], row["near_calibration"]
        nats = row["unit"] == "nats" and own["ratio"] is not None
        lines.append(
            f"| `{name}` | {row['random']['value']:.3f} | {row['near']['value']:.3f} | "
            f"{near['value']:.2f} ({near['low']:.2f} to {near['high']:.2f}) | "
            f"{format(own['ratio'], '.2f') if nats else '-'} | "
            f"{'-' if own['slope'] is None else format(own['slope'], '.2f')} |")
    return "\n".join(lines) + "\n"


def picks(document):
    budgets = document["picks"]
    names = list(dict.fromkeys(name for each in budgets.values() for name in each["rows"]
                               if not name.startswith("uniform")))
    lines = ["KL in nats and top-1 in per cent of what each integer program picks. `+` and `−`: "
             "better or worse than `kl_probe` beyond noise (paired bootstrap over images, 95 %).\n",
             "| scores | " + " | ".join(budgets) + " |", "|---|" + "---:|" * len(budgets)]
    for name in names:
        lines.append(f"| `{name}` | " + " | ".join(
            cell(each["rows"].get(name)) for each in budgets.values()) + " |")
    lines.append("| uniform within the budget | " + " | ".join(
        next((f"{cell(row)} ({label.removeprefix('uniform ')})"
              for label, row in each["rows"].items() if label.startswith("uniform")), "-")
        for each in budgets.values()) + " |")
    return "\n".join(lines) + "\n"


def cell(row):
    if row is None:
        return "-"
    against = row["against_kl_probe"] or {"low": 0, "high": 0}
    mark = " +" if against["high"] < 0 else " −" if against["low"] > 0 else ""
    return f"{number(row['kl'])}, {100 * row['top1']:.1f}{mark}"


def number(value):
    digits = max(0, 2 - int(np.floor(np.log10(value)))) if value > 0 else 0
    return f"{value:.{digits}f}"


def extras(document):
    one = document["saturation"]
    lines = [f"Saturating correction of the summed `kl_probe`: ceiling {one['ceiling']:.2g} nats; "
             f"root mean square log error {one['log_error_random']:.2f} against "
             f"{one['log_error_random_sum']:.2f} of the plain sum on the random policies it was "
             f"not fitted on, {one['log_error_near']:.2f} against {one['log_error_near_sum']:.2f} "
             "on near-optimal ones.\n",
             "Predicted KL from 6 measured policies: share of held-out policies inside the 95 % "
             "interval.\n",
             "| scores | random | near-optimal | accuracy loss | high / low, median |",
             "|---|---:|---:|---:|---:|"]
    for name, row in document["coverage"].items():
        accuracy = "-" if row["accuracy"] is None else f"{100 * row['accuracy']:.0f} %"
        lines.append(f"| `{name}` | {100 * row['kl_random']:.0f} % | {100 * row['kl_near']:.0f} % "
                     f"| {accuracy} | {row['median_width_factor']:.1f} |")
    return "\n".join(lines) + "\n"


def short(name):
    return name.replace("gauss_newton(draws=4,factored=False)", "gauss_newton(draws=4)")


def correlations(found):
    names = names_of(found)[::-1]
    figure = Figure(figsize=(9, 0.36 * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    for number_, (case, document) in enumerate(found.items()):
        own = [(i, document["predictions"][name]["near_within"]) for i, name in enumerate(names)
               if name in document["predictions"]]
        offset = 0.12 * (number_ - (len(found) - 1) / 2)
        values = [row["value"] for _, row in own]
        axes.errorbar(values, [i + offset for i, _ in own], fmt=MARKERS[number_], markersize=4,
                      color=COLOURS[number_], capsize=0, linewidth=1, label=case, xerr=[
                          [max(0, row["value"] - row["low"]) for _, row in own],
                          [max(0, row["high"] - row["value"]) for _, row in own]])
    axes.set_yticks(range(len(names)), [short(name) for name in names], fontsize=8)
    axes.set_xlabel("Spearman correlation with measured KL among near-optimal policies of one "
                    "budget\n(mean over budgets; bars: 95 % bootstrap over images)", fontsize=8)
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_ylim(-0.6, len(names) - 0.4)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    save(figure, "correlation")


def chosen(found):
    """KL of each pick relative to that of kl_probe, a panel a case."""
    rows = -(-len(found) // 2)
    figure = Figure(figsize=(11, 4.4 * rows), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, 2 if len(found) > 1 else 1)).ravel()
    names = names_of(found)[::-1]
    for axes, (case, document) in zip(grid, found.items()):
        budgets = list(document["picks"])
        own = [name for name in names if name in document["predictions"]]
        own = ["oracle", *own] if any("oracle" in each["rows"] for each in document[
            "picks"].values()) else own
        table = np.array([[np.log2(document["picks"][budget]["rows"][name]["kl"]
                                   / document["picks"][budget]["rows"]["kl_probe"]["kl"])
                           if name in document["picks"][budget]["rows"] else np.nan
                           for budget in budgets] for name in own])
        image = axes.imshow(table, cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto", origin="lower")
        axes.set_xticks(range(len(budgets)), budgets, fontsize=7)
        axes.set_yticks(range(len(own)), [short(name) for name in own], fontsize=7)
        for i in range(len(own)):
            for j in range(len(budgets)):
                if np.isfinite(table[i, j]):
                    axes.text(j, i, f"{2 ** table[i, j]:.2f}", ha="center", va="center",
                              fontsize=6, color="white" if abs(table[i, j]) > 1.3 else "black")
        axes.set_title(case, loc="left", fontsize=9)
    for axes in grid[len(found):]:
        axes.set_visible(False)
    figure.suptitle("measured KL of the pick, relative to that of kl_probe (blue is better)",
                    fontsize=10)
    save(figure, "picks")


def costs(found, cost):
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    case = next(iter(found))
    for name, row in found[case]["predictions"].items():
        paid = paid_for(cost, name)
        if paid is None or name.endswith("interactions"):
            continue
        x, y = max(paid["forwards_by_operations"], 0.5), row["near_within"]["value"]
        axes.plot(x, y, "o", color="#0072b2", markersize=5)
        below = name in ("kl_probe", "hessian_trace")
        axes.annotate(name, (x, y), fontsize=7, xytext=(4, -9 if below else 3),
                      textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlim(0.35, 700)
    axes.set_xlabel("cost in forward passes of the data, by operations (0.5 stands for none)")
    axes.set_ylabel("rank correlation within a budget, near-optimal policies")
    axes.set_title(f"what a score costs and what it is worth: {case}", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    save(figure, "cost")


def converging(found):
    cases = [(case, each) for case, each in found.items() if each.get("convergence")]
    figure = Figure(figsize=(5 * len(cases), 4.2), layout="constrained")
    grid = np.atleast_1d(figure.subplots(1, len(cases)))
    shown = ("kl_probe", "logit_gram with interactions", "fisher", "fisher_diag", "kfac", "lrp",
             "hessian_trace", "aumann_shapley", "decoupled")
    for axes, (case, document) in zip(grid, cases):
        by_count = {int(count): rows for count, rows in document["convergence"].items()}
        by_count[document["settings"]["calibration_samples"]] = {
            name: row["near_within"]["value"] for name, row in document["predictions"].items()}
        counts = sorted(by_count)
        for name, colour in zip(shown, (*COLOURS, "#cc79a7", "#999999", "#000000")):
            if all(name in by_count[count] for count in counts):
                axes.plot(counts, [by_count[count][name] for count in counts], "o-", label=name,
                          markersize=4, linewidth=1.2, color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, counts)
        axes.set_xlabel("calibration images")
        axes.set_title(case, loc="left", fontsize=9)
        axes.grid(alpha=0.3)
    grid[0].set_ylabel("rank correlation within a budget")
    grid[-1].legend(fontsize=7)
    save(figure, "convergence")


def save(figure, stem):
    figure.savefig(HERE / f"{stem}.png", dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
