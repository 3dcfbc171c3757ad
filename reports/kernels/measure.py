"""Times the integer kernels against torch: one thread, CPU time, everything in turns.

    OMP_NUM_THREADS=1 python reports/kernels/measure.py [--isa avx2] [--rounds 12]
"""

import argparse
import json
import platform
import time
from functools import partial

import torch
from torch.nn.functional import linear as float_linear

from mpsearch.core.io import write
from mpsearch.kernels import PackedWeight, linear, matmul, native, quantize
from mpsearch.kernels.library import kernels, using

GEMM, GEMV = ((197, 384, 1536), (197, 768, 2304)), (1, 4096, 4096)
SMALL = (1, 2, 4, 5, 6, 8, 12, 16)
SLICE = 0.02  # seconds


def best_of(calls, rounds, least_spent=SLICE):
    """The least seconds of CPU time a call took, all calls in turns for so many seconds each."""
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start, count = time.process_time(), 0
            while (spent := time.process_time() - start) < least_spent or not count:
                call()
                count += 1
            least[name] = min(least[name], spent / count)
    return least


def keep(file, more):
    """Adds to a JSON file: by title, for each shape the times of each call in each repeat."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rounded = {title: [[{str(call): float(f"{each:.4g}") for call, each in times.items()}
                        for times in repeats] for repeats in shapes]
               for title, shapes in more.items()}
    write(file, (json.dumps(found | rounded, indent=1) + "\n").encode())


def weight_of(outputs, inputs, bits, group=None):
    draw = torch.Generator().manual_seed(bits)
    codes = torch.randint(0, 1 << bits, (outputs, inputs), generator=draw)
    scales = outputs * (-(-inputs // group) if group else 1)
    return PackedWeight.of(codes, torch.rand(scales, generator=draw) + 0.5, bits=bits, first=0,
                           group=group)


def peers(x, weight):
    """What torch offers, each if it is there: float32, and its own dynamic int8."""
    found = {"torch fp32 (F.linear)": lambda: float_linear(x, weight)}
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
        found["oneDNN fp32"] = lambda: torch.ops.mkldnn._linear_pointwise(
            x, packed, None, "none", [], "")
        found["oneDNN fp32"]()
    except (RuntimeError, AttributeError) as problem:
        found.pop("oneDNN fp32", None)
        print("oneDNN fp32 is not reachable:", str(problem).splitlines()[0])
    for engine in ("x86", "onednn"):
        try:
            torch.backends.quantized.engine = engine
            q = torch.quantize_per_channel(weight, torch.full((len(weight),), 0.03),
                                           torch.zeros(len(weight), dtype=torch.long), 0,
                                           torch.qint8)
            made = torch.ops.quantized.linear_prepack(q, None)
            call = partial(torch.ops.quantized.linear_dynamic, x, made)
            call()
            found[f"torch dynamic int8 ({engine})"] = call
        except (RuntimeError, AttributeError) as problem:
            print(f"torch dynamic int8 ({engine}) is not reachable:",
                  str(problem).splitlines()[0])
    return found


def own(x, outputs, inputs):
    """Quantization of activations included, from float32 to float32."""
    def call(weight):
        return linear(quantize(x, -128, 127), weight)
    made = {f"W{bits}A8": partial(call, weight_of(outputs, inputs, bits)) for bits in range(2, 9)}
    for group in (128, 32):
        made[f"W4A8, groups of {group}"] = partial(call, weight_of(outputs, inputs, 4, group))
    return made


def large(rounds):
    for rows, inputs, outputs in (*GEMM, GEMV):
        x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        least = best_of({**peers(x, weight), **own(x, outputs, inputs)}, rounds)
        print(f"\n{rows} x {inputs} x {outputs}\n\n| | us | GOPS | times torch fp32 |\n"
              "|---|---:|---:|---:|")
        first = least["torch fp32 (F.linear)"]
        for name, seconds in least.items():
            print(f"| {name} | {seconds * 1e6:.0f} | "
                  f"{2e-9 * rows * inputs * outputs / seconds:.0f} | {first / seconds:.2f} |")


def ways(rounds):
    """Where unpacking in registers stops to pay: the constant FUSED_MOST."""
    print("\n1024 x 1024, us by rows: unpacked in registers / in a buffer\n\n| rows | "
          + " | ".join(f"W{bits}" for bits in (2, 4, 6, 8)) + " |\n|---|---|---|---|---|")
    for rows in SMALL:
        calls = {}
        for bits in (2, 4, 6, 8):
            w = weight_of(1024, 1024, bits)
            a = quantize(torch.randn(rows, 1024), -128, 127)
            for way in (native.FUSED, native.BUFFERED):
                calls[bits, way] = partial(
                    native.linear, kernels(), a.codes, a.zero, w.stream, (w.scale, w.zero, w.sums),
                    bits=bits, outputs=1024, group=1024, scale=a.scale, way=way)
        least = best_of(calls, rounds)
        print(f"| {rows} | " + " | ".join(
            f"{least[bits, 1] * 1e6:.0f} / {least[bits, 2] * 1e6:.0f}" for bits in (2, 4, 6, 8))
            + " |")


def rest(rounds):
    x = torch.randn(197, 768)
    q, k = torch.randn(6, 197, 64), torch.randn(6, 197, 64)
    values, p = torch.randn(6, 197, 64), torch.rand(6, 197, 197)
    one, fixed = torch.full((1,), 0.03), torch.ones(1)
    codes = [quantize(each, -128, 127, scale=one) for each in (q, k, values, p)]
    turned = codes[2]._replace(codes=codes[2].codes.transpose(1, 2))
    least = best_of({
        "quantize 197 x 768, a scale a row": lambda: quantize(x, -128, 127),
        "quantize 197 x 768, one scale": lambda: quantize(x, -128, 127, scale=fixed),
        "QK^T, 6 heads of 64, 197 tokens, fp32": lambda: q @ k.transpose(1, 2),
        "QK^T, int8 codes to fp32": lambda: matmul(codes[0], codes[1]),
        "AV, 6 heads of 64, 197 tokens, fp32": lambda: p @ values,
        "AV, int8 codes to fp32": lambda: matmul(codes[3], turned),
    }, rounds)
    print("\n| | us |\n|---|---:|")
    for name, seconds in least.items():
        print(f"| {name} | {seconds * 1e6:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--isa")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = kernels().at(options.isa) if options.isa else kernels()
    print(f"path {chosen.path}, torch {torch.__version__}, {platform.machine()}")
    with torch.inference_mode(), using(chosen):
        large(options.rounds)
        ways(options.rounds)
        rest(options.rounds)


if __name__ == "__main__":
    main()
