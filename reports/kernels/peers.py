"""Other libraries' layers, each as a call without arguments; those that are not there are left out.

`pip install onnxruntime onnx openvino nncf` beside this package makes those there; `peer_ggml`
says how ggml comes.
"""

from functools import partial

import torch
from peer_ggml import BITS, TYPES, ggml_calls
from peer_openvino import openvino_calls
from peer_ort import ort_calls
from torch.nn.functional import linear as float_linear

TORCH = ("torch fp32", "oneDNN fp32", "torch int8 x86", "torch int8 onednn")
FLOATS = ("torch fp32", "oneDNN fp32", "ORT fp32", "OpenVINO fp32")
BYTES = ("torch int8 x86", "torch int8 onednn", "ORT int8", "OpenVINO int8", "ORT W8",
         "OpenVINO W8", "ggml Q8_0", "ggml Q8_0 repacked")
# on processors without VNNI; `exactness.py` shows it
SATURATING = ("torch int8 x86", "torch int8 onednn", "ORT int8", "OpenVINO int8")


def few(bits):
    """Names of the calls whose weights have so many *bits*."""
    ggml = [f"ggml {kind}{way}" for kind in TYPES if BITS[kind] == bits
            for way in ("", " repacked")]
    return BYTES if bits == 8 else (f"ORT W{bits}", f"OpenVINO W{bits}", *ggml)


FEW = tuple(name for bits in range(2, 8) for name in few(bits))


def _onednn(x, weight):
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def torch_calls(x, weight, kinds=TORCH):
    """float32 by torch's default and by oneDNN, and torch's dynamic int8."""
    make = {"torch fp32": lambda: partial(float_linear, x, weight),
            "oneDNN fp32": lambda: _onednn(x, weight),
            "torch int8 x86": lambda: dynamic_int8(x, weight, "x86"),
            "torch int8 onednn": lambda: dynamic_int8(x, weight, "onednn")}
    return {kind: make[kind]() for kind in kinds}


def dynamic_int8(x, weight, engine, reduce_range=False):
    """torch's product; *reduce_range* is 7-bit inputs, which `quantize_dynamic` asks for."""
    torch.backends.quantized.engine = engine
    top = weight.abs().amax(1).clamp(min=1e-6) / 127
    q = torch.quantize_per_channel(weight, top.double(), torch.zeros(len(weight)).long(), 0,
                                   torch.qint8)
    made = torch.ops.quantized.linear_prepack(q, None)
    return partial(torch.ops.quantized.linear_dynamic, x, made, reduce_range)


def all_calls(x, weight):
    """Every library's calls that are there."""
    return {**torch_calls(x, weight), **ort_calls(x, weight), **openvino_calls(x, weight),
            **ggml_calls(x, weight)}


def result_of(call):
    """What a call computes, as a tensor."""
    if hasattr(call, "result"):
        return call.result()
    made = call()
    if isinstance(made, torch.Tensor):
        return made.clone()
    return torch.tensor(made[0])
