"""Whether libraries' products of codes are right, in numbers that their codes hold exactly.

    python -W ignore reports/kernels/exactness.py

Where every number is 0 or 1, codes of any scheme are exact: what is missing then was lost in sums.
"""

import torch
from peer_ort import ort_calls
from peers import all_calls, dynamic_int8, result_of

from mpsearch.kernels import PackedWeight, kernels, linear, quantize

ROWS, INPUTS, OUTPUTS = 64, 512, 64
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
SATURATED = 0.02


def own(x, weight):
    """These kernels, with a symmetric scale for each output."""
    found = {}
    for bits in WIDTHS:
        most = (1 << (bits - 1)) - 1
        scale = weight.abs().amax(1).clamp(min=1e-6) / most
        codes = (weight / scale[:, None]).round().clamp(-most - 1, most).to(torch.int32)
        packed = PackedWeight.of(codes, scale, bits=bits, first=-most - 1)
        found[f"W{bits}A8"] = lambda packed=packed: linear(quantize(x, -128, 127), packed)
    return found


def calls(x, weight):
    """All libraries, and what two of them offer against saturation: 7 bits on one side."""
    more = {f"torch int8 {engine}, 7-bit inputs": dynamic_int8(x, weight, engine, True)
            for engine in ("x86", "onednn")}
    return {**all_calls(x, weight), **more, **ort_calls(x, weight, ("int8, 7-bit weights",)),
            **own(x, weight)}


def missing(x, weight):
    """The largest error of each call, as a part of the largest sum."""
    exact = x.double() @ weight.double().T
    return {name: float((result_of(call) - exact).abs().max() / exact.abs().max())
            for name, call in calls(x, weight).items()}


def off(x, weight):
    """The root mean square error of each call, as a part of the product's in float."""
    exact = x.double() @ weight.double().T
    return {name: float((result_of(call) - exact).square().mean().sqrt() / exact.std())
            for name, call in calls(x, weight).items()}


def main():
    torch.set_num_threads(1)
    print(f"path {kernels().path}, torch {torch.__version__}\n")
    ones = torch.ones(ROWS, INPUTS)
    ones[:, 0] = 0  # a range has two ends
    zeros_and_ones = (torch.rand(2, ROWS, INPUTS) < 0.5).float()
    largest = missing(ones, torch.ones(OUTPUTS, INPUTS))
    mixed = missing(zeros_and_ones[0], zeros_and_ones[1][:OUTPUTS])
    normal = off(torch.randn(ROWS, INPUTS), torch.randn(OUTPUTS, INPUTS))
    print("| | all ones | zeros and ones | normal numbers | sums |\n|---|---:|---:|---:|---|")
    for name in largest:
        right = max(largest[name], mixed[name]) < SATURATED
        print(f"| {name} | {largest[name]:.2%} | {mixed[name]:.2%} | {normal[name]:.2%} | "
              f"{'right' if right else 'saturate'} |")


if __name__ == "__main__":
    torch.manual_seed(0)
    with torch.inference_mode():
        main()
