"""Compiles the kernels that round or multiply for GPUs that need not be there; answers in JSON.

    python compile_all.py 80 90

For each kernel its name, bytes of machine code, and the kinds of instructions in it that
decide about exactness.
"""

import json
import re
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mpsearch.kernels.gpu import batched, linear, quantize

POINTERS = {"x": "*i8", "a": "*i8", "b": "*i8", "codes": "*i8", "scale": "*fp32",
            "a_scale": "*fp32", "b_scale": "*fp32", "w_scale": "*fp32", "bias": "*fp32",
            "zero": "*i32", "a_zero": "*i32", "b_zero": "*i32", "w_zero": "*i32", "w_sums": "*i32",
            "words": "*i32", "bad": "*i32", "out": "*fp32"}
INSTRUCTIONS = r"\b(?:wg)?mma[\w.:]*s32[\w.]*|\btcgen05\.mma[\w.:]*|\bfma\.[\w.]+|\bdiv\.\w*\.?f\d+"


def compiled(kernel, capability, others, constants):
    types = {name: "constexpr" if name in constants else {**POINTERS, **others}.get(name, "i32")
             for name in kernel.arg_names}
    made = triton.compile(ASTSource(fn=kernel, signature=types, constexprs=constants),
                          target=GPUTarget("cuda", capability, 32),
                          options={"enable_fp_fusion": False})
    found = sorted(set(re.findall(INSTRUCTIONS, made.asm["ptx"])))
    return {"for": capability, "kernel": kernel.__module__.rpartition(".")[2] + kernel.__name__,
            "constants": constants, "bytes": len(made.asm["cubin"]), "instructions": found}


def everything():
    tile = {"block_m": 64, "block_n": 64, "block_k": 64}
    for bits in (7, 8):
        yield linear._kernel, {}, {"bits": bits, "raw": False, "has_bias": True, **tile}
    yield batched._kernel, {}, {"raw": False, **tile}
    yield quantize._codes, {"x": "*fp32"}, {"block": 1024}
    yield quantize._scales, {"x": "*fp32"}, {"symmetric": False, "block": 1024}


if __name__ == "__main__":
    made = [compiled(kernel, capability, *rest) for capability in map(int, sys.argv[1:])
            for kernel, *rest in everything()]
    sys.stdout.write(json.dumps(made))
