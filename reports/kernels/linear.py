"""The 24 linear layers of vision transformers, float32 to float32, against other libraries.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/linear.py [--rounds 3] [--repeats 3] \
        [--tokens 197 1576] [--save FILE]
"""

import argparse
import math
from functools import partial
from pathlib import Path
from statistics import median

import torch
from measure import best_of, keep, weight_of
from peers import BYTES, FEW, FLOATS, SATURATING, all_calls, few

from mpsearch.kernels import kernels, linear, quantize

SHAPES = [(d * a, d * b) for d in (192, 384, 768) for a, b in ((1, 3), (1, 1), (1, 4), (4, 1))]
WIDTHS = range(2, 9)
OURS = tuple(f"W{bits}" for bits in WIDTHS)
GROUPED = ("W4, 128", "W4, 32")
SLICE = 0.004


def own(x, outputs, inputs):
    def call(weight):
        return linear(quantize(x, -128, 127), weight)
    made = {f"W{bits}": partial(call, weight_of(outputs, inputs, bits)) for bits in WIDTHS}
    for name in GROUPED:
        made[name] = partial(call, weight_of(outputs, inputs, 4, int(name.split(", ")[1])))
    return made


def measured(rows, inputs, outputs, options):
    """Microseconds of each call, once for each repeat."""
    torch.manual_seed(0)
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    calls = {**all_calls(x, weight), **own(x, outputs, inputs)}
    return [{name: 1e6 * each for name, each in best_of(calls, options.rounds, SLICE).items()}
            for _ in range(options.repeats)]


def best(times, names):
    return min((times[name], name) for name in names if name in times)


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def row(shape, repeats):
    """The least of all repeats."""
    times = {name: min(each[name] for each in repeats) for name in repeats[0]}
    cells = ["x".join(map(str, shape))]
    for names in (FLOATS, BYTES, FEW):
        found = [name for name in names if name in times]
        cells.append("{:.0f} ({})".format(*best(times, found)) if found else "-")
    cells += [f"{times[name]:.0f}" for name in (*OURS, *GROUPED)]
    print("| " + " | ".join(cells) + " |", flush=True)


def spread(found, names, ours):
    """How many times as fast *ours* is as the best of *names*: median repeat, least and most."""
    each = [mean([best(times, names)[0] / times[ours] for times in repeat])
            for repeat in zip(*found, strict=True)]
    return f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f})"


def ratios(found, title, names):
    kept = [each for each in found if any(name in each[0] for name in names)]
    if kept:
        some = "" if len(kept) == len(found) else f", {len(kept)} shapes"
        print(f"| {title}{some} | " + " | ".join(
            spread(kept, names, ours) for ours in (*OURS, *GROUPED)) + " |")


def singly(found, name, bits):
    kept = [each for each in found if name in each[0]]
    if kept:
        ours = (f"W{bits}",) if bits in WIDTHS else ("W4", "W8")
        print(f"| {name} | {len(kept)} | " + ", ".join(
            f"{own}: {spread(kept, (name,), own)}" for own in ours) + " |")


def summary(tokens, found):
    """Against the best of several libraries, all widths; against each library, its own."""
    heads = [f"{tokens} tokens, times as fast as", *OURS, *GROUPED]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    ratios(found, "best fp32", FLOATS)
    ratios(found, "best 8 bits", BYTES)
    ratios(found, "best right 8 bits", [name for name in BYTES if name not in SATURATING])
    ratios(found, "best sub-8-bit", FEW)
    print(f"\n| {tokens} tokens, library | shapes | ours of that width is times as fast |\n"
          "|---|---:|---|")
    for name in FLOATS:
        singly(found, name, 32)
    for bits in WIDTHS:
        for name in few(bits):
            singly(found, name, bits)


def table(tokens, options):
    heads = ["us", "best fp32", "best 8 bits", "best sub-8-bit", *OURS, *GROUPED]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    found = []
    for inputs, outputs in SHAPES:
        found.append(measured(tokens, inputs, outputs, options))
        row((tokens, inputs, outputs), found[-1])
    summary(tokens, found)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tokens", type=int, nargs="+", default=[197, 1576])
    parser.add_argument("--save", help="a JSON file, for picture.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"path {kernels().path}, torch {torch.__version__}")
    times = {tokens: table(tokens, options) for tokens in options.tokens}
    if options.save:
        keep(Path(options.save), {f"{tokens} tokens": found for tokens, found in times.items()})


if __name__ == "__main__":
    with torch.inference_mode():
        main()
