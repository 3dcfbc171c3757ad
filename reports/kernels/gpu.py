"""Are layers on a GPU those of the CPU to the bit, and how fast are they?

    python reports/kernels/gpu.py [--rounds 20]

Prints how many of the layers tried were equal, then times by CUDA events, the best of all rounds.
Copies of a weight take turns so that each comes from the GPU's memory and not from its cache.
"""

import argparse
import os
import sys
import warnings
from itertools import product

import torch
from torch.nn.functional import linear as float_linear

from mpsearch.kernels import PackedWeight, linear, quantize
from mpsearch.kernels.gpu import humming

SHAPES = ((1, 4096, 4096), (16, 4096, 4096), (197, 768, 2304), (1576, 768, 3072), (4096, 4096, 4096))
CACHE = 256 << 20  # bytes of weights that take turns
MOST = 64  # of them


def weight_of(outputs, inputs, bits, group=None):
    draw = torch.Generator().manual_seed(bits)
    half = 1 << (bits - 1)
    codes = torch.randint(-half + 1, half, (outputs, inputs), generator=draw)
    scales = outputs * (-(-inputs // group) if group else 1)
    return PackedWeight.of(codes, torch.rand(scales, generator=draw) + 0.5, bits=bits,
                           first=-half + 1, group=group)


def exactness():
    """Layers that are equal to the CPU's, of those tried."""
    equal = tried = 0
    for bits, group, rows in product(range(2, 9), (None, 24, 64, 128), (1, 16, 17, 197)):
        own = weight_of(330, 777, bits, group)
        for symmetric in (True, False):
            x, bias = torch.randn(rows, 777), torch.randn(330)
            ends = (-127, 127) if symmetric else (0, 255)
            wanted = linear(quantize(x, *ends, symmetric=symmetric), own, bias)
            found = linear(quantize(x.cuda(), *ends, symmetric=symmetric), own.to("cuda"),
                           bias.cuda())
            equal += torch.equal(found.cpu(), wanted)
            tried += 1
    return equal, tried


def microseconds(calls, rounds):
    """The least time of each of *calls*, in turns; a call takes the number of its turn."""
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call(0)
    for _ in range(rounds):
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for turn in range(MOST):
                call(turn)
            end.record()
            end.synchronize()
            least[name] = min(least[name], start.elapsed_time(end) / MOST * 1e3)
    return least


def copies(make, size):
    return [make() for _ in range(min(MOST, max(1, CACHE // size)))]


def calls_of(rows, inputs, outputs):
    x = torch.randn(rows, inputs, device="cuda")
    a = quantize(x, -127, 127)
    half = x.bfloat16()
    kept = copies(lambda: torch.randn(outputs, inputs, device="cuda", dtype=torch.bfloat16),
                  2 * inputs * outputs)
    found = {"bf16": lambda turn: float_linear(half, kept[turn % len(kept)])}
    for bits in range(2, 9):
        own = weight_of(outputs, inputs, bits)
        many = copies(lambda own=own: own.to("cuda"), inputs * outputs * bits // 8)
        found[f"W{bits}A8"] = lambda turn, many=many: linear(a, many[turn % len(many)])
        if by_humming(bits):
            found[f"W{bits}A8, Humming"] = lambda turn, many=many: asked(
                lambda: linear(a, many[turn % len(many)]))
    return found | {"quantizing the input": lambda _: quantize(x, -127, 127)}


def by_humming(bits):
    try:
        return asked(humming.wanted) and humming.works(bits, torch.device("cuda", 0))
    except humming.BadInput:
        return False


def asked(call):
    os.environ[humming.VARIABLE] = "humming"
    try:
        return call()
    finally:
        del os.environ[humming.VARIABLE]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        sys.exit("no GPU here: nothing was measured")
    warnings.simplefilter("always", RuntimeWarning)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("{} of {} layers equal to the CPU's, bit for bit".format(*exactness()))
    with torch.inference_mode():
        for shape in SHAPES:
            least = microseconds(calls_of(*shape), rounds)
            print("\n### {} x {} x {}\n\n| | us | times bf16 |\n|---|---:|---:|".format(*shape))
            for name, spent in least.items():
                print(f"| {name} | {spent:.1f} | {least['bf16'] / spent:.2f} |")


if __name__ == "__main__":
    main()
