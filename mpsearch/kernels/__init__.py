"""Integer arithmetic on packed codes: compiled kernels for CPUs, and torch where none compile.

How a backend calls it, for a layer with weight format ``fmt`` and activation format ``act``::

    w = PackedWeight.of(codes.flatten(1), params.scale, params.zero_point, bits=fmt.bits,
                        first=fmt.code_range[0], group=fmt.group_size)
    a = quantize(x, *act.code_range, scale=scale, zero=zero, where="the input of blocks.0.fc1")
    a = quantize(x, *act.code_range, symmetric=act.symmetric, where=...)   # dynamic, per row
    y = linear(a, w, bias)

| call | takes | gives |
|---|---|---|
| `PackedWeight.of` | integer codes [outputs, inputs], scale float32 and zero integer of 1, outputs, or outputs * groups numbers | 2 to 8 bits a code, in panels |
| `PackedFilters.of` | codes [outputs, channels / groups, kh, kw] | the same for `conv2d` |
| `quantize` | float [..., K] | `Activation`: codes int8 (int16 beyond 8 bits), scale float32 and zero int32 of 1 or rows numbers |
| `linear` | `Activation` [..., inputs], weight, bias float32 [outputs] | float32 [..., outputs] |
| `linear_sums` | the same without groups | int32 [..., outputs], int64 for 16-bit codes |
| `matmul`, `matmul_sums` | `Activation` [..., M, K] and [..., N, K], any strides | float32 or int32 [..., M, N] |
| `conv2d`, `conv2d_sums` | `Activation` [B, C, H, W] of one scale | float32 or int32 [B, outputs, h, w] |
| `levels`, `integers` | codes of levels (strands of unit and whole numbers), or integers of 2 to 16 bits | `PackedWeight`, or `WholeWeight` where that takes several digits |
| `nearest` | float [..., K], a `Ladder` of levels, scale | `Numbers`: digits of the nearest levels |
| `fused.linear_followed`, `fused.linear_codes` | `linear`'s, and what follows | `linear`, then GELU, numbers that are added, or codes |
| `fused.attention` | float queries, keys, values and their codings | float32 or `Activation` [B, H, M, values] |
| `functions.gelu`, `.softmax`, `.layer_norm` | float32 | float32, the same bits everywhere |
| `any_linear`, `any_matmul`, `any_conv2d` | any of these | float32, rounded once |

All are exact: sums of codes equal those of int64 arithmetic bit for bit on every instruction set, and
float results do not depend on instruction set, threads or batch. They are operators
``torch.ops.mpsearch.*`` underneath, which `torch.compile` sees through; see `ops`. `PackedWeight`
pickles: it is tensors and numbers.

`kernels()` says what computes; MPSEARCH_ISA chooses an instruction set, MPSEARCH_KERNELS the folder
of libraries that were compiled on first use.
"""  # noqa: E501 - a table

from mpsearch.kernels.activation import Activation, quantize
from mpsearch.kernels.convolution import PackedFilters, conv2d, conv2d_sums
from mpsearch.kernels.digits import Digits
from mpsearch.kernels.library import kernels
from mpsearch.kernels.numbers import Ladder, Numbers, Strand, nearest
from mpsearch.kernels.packed import PackedWeight
from mpsearch.kernels.products import linear, linear_sums, matmul, matmul_sums
from mpsearch.kernels.whole import any_conv2d, any_linear, any_matmul
from mpsearch.kernels.whole_weight import WholeWeight, integers, levels

__all__ = ["Activation", "Digits", "Ladder", "Numbers", "PackedFilters", "PackedWeight", "Strand",
           "WholeWeight", "any_conv2d", "any_linear", "any_matmul", "conv2d", "conv2d_sums",
           "integers", "kernels", "levels", "linear", "linear_sums", "matmul", "matmul_sums",
           "nearest", "quantize"]
