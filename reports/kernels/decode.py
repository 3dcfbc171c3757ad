"""A few rows times a large weight that comes from memory, against other libraries.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/decode.py [--rounds 3] [--repeats 3] \
        [--outputs 4096 11008] [--rows 1 2 4 8 16] [--peers 1 4] [--save FILE]

Each call takes the next of several copies of its weight, together at least 96 MiB.
"""

import argparse
from itertools import cycle
from pathlib import Path
from statistics import median

import torch
from measure import best_of, keep, weight_of
from peer_ggml import BITS, TYPES, ggml_calls, library
from peer_openvino import openvino_calls
from peer_ort import ort_calls
from peers import FLOATS, few, torch_calls

from mpsearch.kernels import kernels, linear, quantize

INPUTS, OUTPUTS = 4096, (4096, 11008)
ROWS, PEER_ROWS = (1, 2, 4, 8, 16), (1, 4)
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
GROUP = 128
TOGETHER = 96 << 20  # bytes: three times the last cache
STREAM = 1 << 28
SLICE = 0.01


def copies(size):
    return -(-TOGETHER // size)


class Turning:
    """One call that makes the next of *calls* each time; it keeps what they need."""

    def __init__(self, calls):
        self.calls, self.following = calls, cycle(calls)

    def __call__(self):
        return next(self.following)()


def packed(outputs, bits, group=None):
    """Copies of one weight."""
    first = weight_of(outputs, INPUTS, bits, group)
    return [first] + [
        type(first)(stream=first.stream.clone(), scale=first.scale, zero=first.zero,
                    sums=first.sums, bits=bits, outputs=outputs, inputs=INPUTS, group=first.group)
        for _ in range(copies(first.stream.nbytes) - 1)]


def own(x, many):
    return Turning([lambda w=w: linear(quantize(x, -128, 127), w) for w in many])


def _makers(x, weight):
    """(name, bits, what makes one) for each library's call."""
    for kind, bits in (("fp32", 32), ("W2", 2), ("W4", 4), ("W8", 8)):
        yield f"ORT {kind}", bits, lambda kind=kind: ort_calls(x, weight, (kind,))
        yield f"OpenVINO {kind}", bits, lambda kind=kind: openvino_calls(x, weight, (kind,))
    for name, bits in (("torch fp32", 32), ("oneDNN fp32", 32), ("torch int8 x86", 8)):
        yield name, bits, lambda name=name: torch_calls(x, weight.clone(), (name,))
    for kind in TYPES if library() else ():
        yield f"ggml {kind}", BITS[kind], lambda kind=kind: ggml_calls(x, weight, (kind,))


def peers(x, weight):
    made = {}
    for name, bits, make in _makers(x, weight):
        many = [make() for _ in range(copies(weight.numel() * bits // 8))]
        # ggml may have two ways for one kind
        made |= {each: Turning([calls[each] for calls in many])
                 for each in many[0] if each.startswith(name)}
    return made


def measured(rows, weights, weight, options):
    x = torch.randn(rows, INPUTS)
    numbers = torch.ones(STREAM // 4)
    calls = {"stream": numbers.sum, **{name: own(x, many) for name, many in weights.items()}}
    if rows in options.peers:
        calls |= peers(x, weight)
    return [best_of(calls, options.rounds, SLICE) for _ in range(options.repeats)]


def row(rows, outputs, times):
    stream = STREAM / times["stream"]
    cells = [f"{1e6 * times[bits]:.0f} ({outputs * INPUTS * bits / 8 / times[bits] / stream:.0%})"
             for bits in WIDTHS]
    print(f"| {rows} | {stream * 1e-9:.1f} | " + " | ".join(cells)
          + f" | {1e6 * times['W4, 128']:.0f} |", flush=True)


def against(rows, repeats, times):
    """Each library's time, and how many times as fast ours of the same width is."""
    print(f"\n| {rows} rows: library | us | ours of that width is times as fast |\n|---|---:|---:|")
    for bits in (32, *WIDTHS):
        ours = 4 if bits == 32 else bits
        for name in (FLOATS if bits == 32 else few(bits)):
            if name not in times:
                continue
            each = [repeat[name] / repeat[ours] for repeat in repeats]
            print(f"| {name} | {1e6 * times[name]:.0f} | W{ours}: {median(each):.2f} "
                  f"({min(each):.2f}-{max(each):.2f}) |", flush=True)


def named(times):
    return {f"W{call}" if call in WIDTHS else call: 1e6 * each for call, each in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--outputs", type=int, nargs="+", default=OUTPUTS)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--peers", type=int, nargs="+", default=PEER_ROWS,
                        help="rows with which libraries are measured too")
    parser.add_argument("--save", help="a JSON file, for picture.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"path {kernels().path}, torch {torch.__version__}")
    for outputs in options.outputs:
        weight, found = torch.randn(outputs, INPUTS), {}
        weights = {bits: packed(outputs, bits) for bits in WIDTHS}
        weights["W4, 128"] = packed(outputs, 4, GROUP)
        print(f"\n{INPUTS} x {outputs}, us (part of the stream's GB/s)\n\n| rows | stream GB/s | "
              + " | ".join(f"W{bits}" for bits in WIDTHS) + f" | W4, {GROUP} |\n|"
              + "---|" * 10)
        for rows in options.rows:
            repeats = measured(rows, weights, weight, options)
            found[rows] = repeats, {n: min(each[n] for each in repeats) for n in repeats[0]}
            row(rows, outputs, found[rows][1])
        for rows in options.peers:
            against(rows, *found[rows])
        if options.save and 1 in options.peers:
            keep(Path(options.save), {f"1 x {INPUTS} x {outputs}": [
                [named(times) for times in found[1][0]]]})


if __name__ == "__main__":
    with torch.inference_mode():
        main()
