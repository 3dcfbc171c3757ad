"""A few rows times a large weight that comes from memory, against other libraries.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/decode.py [--rounds 6]

Each call takes the next of several copies of its weight, together at least 96 MiB.
"""

import argparse
from itertools import cycle

import torch
from measure import best_of, weight_of
from peers import ort_calls, torch_calls

from mpsearch.kernels import kernels, linear, quantize

INPUTS, OUTPUTS = 4096, (4096, 11008)
ROWS, PEER_ROWS = (1, 2, 4, 8, 16), (1, 4, 16)
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
TOGETHER = 96 << 20  # bytes: three times the last cache
STREAM = 1 << 28


def copies(size):
    return -(-TOGETHER // size)


def turning(calls):
    """One call that makes the next of *calls* each time."""
    following = cycle(calls)
    return lambda: next(following)()


def own(x, outputs, bits):
    first = weight_of(outputs, INPUTS, bits)
    many = [first] + [
        type(first)(stream=first.stream.clone(), scale=first.scale, zero=first.zero,
                    sums=first.sums, bits=bits, outputs=outputs, inputs=INPUTS, group=INPUTS)
        for _ in range(copies(first.stream.nbytes) - 1)]
    return turning([lambda w=w: linear(quantize(x, -128, 127), w) for w in many])


def peers(x, outputs):
    weight = torch.randn(outputs, INPUTS)
    made = {}
    for name, bits, make in (
            ("torch fp32", 32, lambda: torch_calls(x, weight.clone())["torch fp32"]),
            ("torch int8 x86", 8, lambda: torch_calls(x, weight)["torch int8 x86"]),
            ("ORT W8", 8, lambda: ort_calls(x, weight, ("W8",)).get("ORT W8")),
            ("ORT W4", 4, lambda: ort_calls(x, weight, ("W4",)).get("ORT W4"))):
        many = [make() for _ in range(copies(outputs * INPUTS * bits // 8))]
        if all(many):
            made[name] = turning(many)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    numbers = torch.ones(STREAM // 4)
    print(f"path {kernels().path}, torch {torch.__version__}")
    for outputs in OUTPUTS:
        print(f"\n{INPUTS} x {outputs}, us (part of the stream's GB/s)\n\n| rows | stream GB/s | "
              + " | ".join(f"W{bits}" for bits in WIDTHS) + " | peers |\n|" + "---|" * 10)
        for rows in ROWS:
            x = torch.randn(rows, INPUTS)
            calls = {"stream": numbers.sum, **{bits: own(x, outputs, bits) for bits in WIDTHS}}
            if rows in PEER_ROWS:
                calls |= peers(x, outputs)
            times = best_of(calls, options.rounds)
            stream = STREAM / times.pop("stream")
            cells = [f"{1e6 * times[bits]:.0f} "
                     f"({outputs * INPUTS * bits / 8 / times[bits] / stream:.0%})"
                     for bits in WIDTHS]
            others = ", ".join(f"{name} {1e6 * each:.0f}" for name, each in times.items()
                               if name not in WIDTHS)
            print(f"| {rows} | {stream * 1e-9:.1f} | " + " | ".join(cells) + f" | {others} |",
                  flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
