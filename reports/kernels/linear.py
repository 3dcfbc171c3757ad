"""The 24 linear layers of vision transformers, float32 to float32, against other libraries.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/linear.py [--rounds 5] [--tokens 197 1576]
"""

import argparse
import math
from functools import partial

import torch
from measure import best_of, weight_of
from peers import is_exact, openvino_calls, ort_calls, torch_calls

from mpsearch.kernels import kernels, linear, quantize

SHAPES = [(d * a, d * b) for d in (192, 384, 768) for a, b in ((1, 3), (1, 1), (1, 4), (4, 1))]
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
FLOATS = ("torch fp32", "oneDNN fp32", "ORT fp32", "OpenVINO fp32")
BYTES = ("torch int8 x86", "torch int8 onednn", "ORT int8")
FEW = ("ORT W4",)
SLICE = 0.004


def own(x, outputs, inputs):
    def call(weight):
        return linear(quantize(x, -128, 127), weight)
    return {f"W{bits}": partial(call, weight_of(outputs, inputs, bits)) for bits in WIDTHS}


def measured(rows, inputs, outputs, rounds):
    """Microseconds of each call."""
    torch.manual_seed(0)
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    calls = {**torch_calls(x, weight), **ort_calls(x, weight), **openvino_calls(x, weight),
             **own(x, outputs, inputs)}
    return {name: 1e6 * each for name, each in best_of(calls, rounds, SLICE).items()}


def best(times, names):
    return min((times[name], name) for name in names if name in times)


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def row(shape, times):
    cells = ["x".join(map(str, shape))]
    for names in (FLOATS, BYTES, FEW):
        if any(name in times for name in names):
            least, name = best(times, names)
            cells.append(f"{least:.0f} ({name})")
        else:
            cells.append("-")
    cells += [f"{times[f'W{bits}']:.0f}" for bits in WIDTHS]
    print("| " + " | ".join(cells) + " |", flush=True)


def ratios(all_times, names, title):
    """How many times as fast as the best of *names*, by width."""
    kept = [times for times in all_times if any(name in times for name in names)]
    if kept:
        print(f"| {title} | " + " | ".join(
            f"{mean([best(t, names)[0] / t[f'W{bits}'] for t in kept]):.2f}" for bits in WIDTHS)
            + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, nargs="+", default=[197, 1576])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"path {kernels().path}, torch {torch.__version__}\n")
    print("Exact on this processor where every code is the largest:")
    for name, make in (("torch int8 x86", torch_calls), ("torch int8 onednn", torch_calls),
                       ("ORT int8", ort_calls)):
        print(f"- {name}:", "yes" if is_exact(lambda x, w, n=name, m=make: m(x, w)[n]) else "no")
    for tokens in options.tokens:
        heads = ["us", "best fp32", "best int8", "best sub-8-bit", *(f"W{b}" for b in WIDTHS)]
        print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
        found = []
        for inputs, outputs in SHAPES:
            found.append(measured(tokens, inputs, outputs, options.rounds))
            row((tokens, inputs, outputs), found[-1])
        print(f"\n| {tokens} tokens, times as fast as | " + " | ".join(
            f"W{b}" for b in WIDTHS) + " |\n|---|" + "---|" * len(WIDTHS))
        for names, title in ((FLOATS, "best fp32"), (BYTES, "best int8"), (FEW, "best sub-8-bit"),
                             *(((name,), name) for name in (*FLOATS, *BYTES))):
            ratios(found, names, title)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
