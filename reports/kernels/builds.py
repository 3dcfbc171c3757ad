"""One row times a large weight from memory, with several builds of the kernels in turns.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/builds.py OLD.so NEW.so [--rounds 5]

Builds lie in the folder that MPSEARCH_KERNELS names. Results must be the same to the bit.
"""

import argparse
from functools import partial
from pathlib import Path

import decode
import torch
from measure import best_of

from mpsearch.kernels import native, quantize
from mpsearch.kernels.library import opened

SHAPE = 4096


def product(own, a, weight):
    return native.linear(own, a.codes, a.zero, weight.stream,
                         (weight.scale, weight.zero, weight.sums), bits=weight.bits,
                         outputs=SHAPE, group=weight.group, scale=a.scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--isa", default="avx2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    builds = [opened(file).at(options.isa) for file in options.files]
    numbers = torch.ones(decode.STREAM // 4)
    spent = best_of({"stream": numbers.sum}, options.rounds)["stream"]
    stream = decode.STREAM / spent
    print(f"stream {stream * 1e-9:.1f} GB/s\n\n| bits | " + " | ".join(
        f"{file.name}, us" for file in options.files) + " |\n|---|" + "---:|" * len(builds))
    a = quantize(torch.randn(1, SHAPE), -128, 127)
    for bits in decode.WIDTHS:
        many = decode.packed(SHAPE, bits)
        results = [product(own, a, many[0]) for own in builds]
        if any(not torch.equal(each, results[0]) for each in results):
            raise SystemExit(f"the builds differ at {bits} bits")
        times = best_of({i: decode.Turning([partial(product, own, a, each) for each in many])
                         for i, own in enumerate(builds)}, options.rounds, decode.SLICE)
        print(f"| {bits} | " + " | ".join(
            f"{1e6 * each:.0f} ({many[0].stream.nbytes / each / stream:.0%})"
            for each in times.values()) + " |", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
