"""Tables of results_alone.json, results_whole.json and results_speed.json: tables.md.

    python reports/palette_vit/report.py
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from mpsearch.core.io import write

HERE = Path(__file__).parent
SITES = {"softmax": "values after a softmax", "gelu": "values after a GELU",
         "layernorm": "values after a LayerNorm"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
MARKERS = "osD^vP*X"


def main():
    found = {name: json.loads(path.read_text()) for name in ("alone", "whole", "speed")
             if (path := HERE / f"results_{name}.json").exists()}
    parts = []
    if "alone" in found:
        parts += [weights(found["alone"]), *(site(found["alone"], name) for name in SITES)]
        picture(found["alone"]["weights"])
    if "whole" in found:
        parts += [whole(case, document) for case, document in found["whole"].items()]
    if "speed" in found:
        parts.append(speed(found["speed"]))
    write(HERE / "tables.md", "\n".join(parts).encode())


def settings(key):
    """A format's key as pairs."""
    return dict(part.split("=", 1) for part in key.split(" "))


def named(key, without=("bits",)):
    """The settings of a format that tell it from others, without its width."""
    pairs = {name: value for name, value in settings(key).items() if name not in without}
    kind = pairs.pop("kind")
    usual = {"granularity": "channel", "scale": "least_squares", "symmetric": "True"}
    rest = [value if name in {"granularity", "source", "blocks", "scale"} else f"{name}={value}"
            for name, value in pairs.items()
            if value != usual.get(name) and (name, value) not in {
                ("states", "12"), ("seed", "0"), ("share", "0.015625"), ("exponent", "0"),
                ("blocks", "real"), ("parts", "4")}]
    return " ".join([f"`{kind}`", *rest])


def weights(document):
    lines = ["## Every weight format on all weights\n",
             f"KL and top-1 on {document['evaluation']} held-out images, scales fitted to the weights "
             "alone; sorted by true bits a weight. Float top-1 is "
             f"{100 * next(iter(document['weights'].values()))['float_top1']:.1f} %.\n",
             "| format | bits | true bits a weight | KL | top-1 % |", "|---|---:|---:|---:|---:|"]
    for key, row in sorted(document["weights"].items(), key=lambda each: each[1]["bits_per_weight"]):
        lines.append(f"| {named(key)} | {settings(key)['bits']} | {row['bits_per_weight']:.3f} | "
                     f"{row['kl']:.4f} ± {row['kl_stderr']:.4f} | {100 * row['top1']:.1f} |")
    return "\n".join(lines) + "\n"


def site(document, name):
    own = {key.removeprefix(f"{name} "): row for key, row in document["activations"].items()
           if key.startswith(f"{name} ")}
    widths = sorted({int(settings(key)["bits"]) for key in own})
    kinds = list(dict.fromkeys(named(key) for key in own))
    lines = [f"## Every activation format on {SITES[name]}\n",
             "KL (top-1 %) with nothing else quantized.\n",
             "| format | " + " | ".join(f"{width} bits" for width in widths) + " |",
             "|---|" + "---:|" * len(widths)]
    table = {(named(key), int(settings(key)["bits"])): row for key, row in own.items()}
    for kind in kinds:
        cells = [f"{row['kl']:.4f} ({100 * row['top1']:.1f})" if (row := table.get((kind, width)))
                 else "-" for width in widths]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def whole(case, document):
    lines = [f"## Whole network: {case}\n",
             f"Chosen from {document['calibration']} images, measured on {document['evaluation']} "
             "others. The interval is of the paired difference of KL, 95 %.\n",
             "| limit | integers: true bits, KL, top-1 % | palette: true bits, KL, top-1 % | "
             "KL ratio | difference | |", "|---:|---|---|---:|---|---|"]
    for limit, row in document["budgets"].items():
        cells = [f"{each['bits_per_weight']:.3f}, {each['kl']:.4f} ± {each['kl_stderr']:.4f}, "
                 f"{100 * each['top1']:.1f}" for each in (row["integers"], row["palette"])]
        lines.append(f"| {limit} | {cells[0]} | {cells[1]} | {row['ratio']:.2f} | "
                     f"{row['low']:+.4f} to {row['high']:+.4f} | {row['verdict']} |")
    lines += ["", "What the palette's policies are made of:\n"]
    for limit, row in document["budgets"].items():
        for operand, counts in row["palette"]["formats"].items():
            if counts:
                listed = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
                lines.append(f"- {limit}, {operand}: "
                             + ", ".join(f"{count} `{fmt}`" for fmt, count in listed))
    return "\n".join(lines) + "\n"


def speed(document):
    lines = ["## Speed\n"]
    if "fits" in document:
        own = document["fits"]
        lines += ["Every width of a kind fitted to every weight of the network, and rounded once "
                  f"({where(own)}):\n", "| kind | widths | wall s | CPU s |", "|---|---:|---:|---:|"]
        lines += [f"| `{kind}` | {row['formats']} | {row['wall_s']:.1f} | {row['cpu_s']:.1f} |"
                  for kind, row in own["times"].items()]
        lines += total(own["times"])
    for name, loops in (("forward", "with numba"), ("forward_plain", "without numba")):
        if name in document:
            own = document[name]
            lines += ["", "A forward pass of 8 images, float and with every activation quantized, "
                      f"{loops} (median CPU seconds; {where(own)}):\n",
                      "| activations | CPU s | ratio |", "|---|---:|---:|"]
            lines += [f"| {name} | {row['cpu_s']:.3f} | {row['ratio']:.2f} |"
                      for name, row in own["times"].items()]
    return "\n".join(lines) + "\n"


def total(times):
    """Rows of sums: kinds that round number by number, and those of codewords."""
    several = ("vector", "product", "trellis")
    for name, chosen in (("all kinds number by number", lambda kind: kind not in several),
                         ("all kinds of codewords", lambda kind: kind in several)):
        own = [row for kind, row in times.items() if chosen(kind)]
        yield (f"| {name} | {sum(row['formats'] for row in own)} | "
               f"{sum(row['wall_s'] for row in own):.1f} | {sum(row['cpu_s'] for row in own):.1f} |")


def where(section):
    return f"{section['threads']} threads, load {section['load']:.1f} before"


def picture(rows):
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    lines = {}
    for key, row in rows.items():
        lines.setdefault(named(key), []).append((row["bits_per_weight"], row["kl"]))
    for index, (name, points) in enumerate(lines.items()):
        axes.plot(*zip(*sorted(points), strict=True), label=name.replace("`", ""), lw=1.1, ms=4,
                  color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
                  ls=("-", "--", ":")[index // len(COLOURS)])
    axes.set(xlabel="true bits a weight", ylabel="KL(float || quantized), nats", yscale="log",
             title="One format on all weights of ViT-Tiny")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(HERE / "alone.png", dpi=120)


if __name__ == "__main__":
    main()
