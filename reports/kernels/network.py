"""Whole vision transformers at batch 1, one thread, random weights: ours and other runtimes.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/network.py [--rounds 4] [--repeats 3] \
        [--models NAME ...]
"""

import argparse
import contextlib
import io
import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import timm
import torch
from measure import best_of
from peer_openvino import compiled
from peer_ort import dynamic_int8, session

from mpsearch.backends.integer.backend import Integer
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, Scheme, SearchSpace
from mpsearch.fakequant.activations import calibrate
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.fakequant.weights import Weights
from mpsearch.graph.execute import Program, measure_shapes
from mpsearch.graph.layers import find_layers
from mpsearch.graph.trace import trace

MODELS = ("vit_tiny_patch16_224", "deit_small_patch16_224")
WIDTHS = (2, 4, 6, 8)
OWN = "W4A8, attention in float"
INTEGERS = IntFormat(bits=8, granularity="tensor", symmetric=False)


def integer(model, bits, attention=True):
    """*model* on the integer backend: weights of so many bits, 8-bit activations."""
    images = (torch.randn(2, 3, 224, 224),)
    traced = trace(model, images)
    layers = find_layers(traced, measure_shapes(Program(traced), images))
    program = Program(traced, layers.sites)
    scheme = Scheme(weight=IntFormat(bits=bits, granularity="channel"), input=INTEGERS,
                    other=INTEGERS)
    schemes = {spec.name: scheme.for_kind(spec.kind) if attention or spec.kind != "matmul"
               else Scheme() for spec in layers.specs}
    space = SearchSpace(name="all", layers=layers.specs, groups=tuple(
        Group(name=name, layers=(name,), schemes=(own,)) for name, own in schemes.items()))
    found = calibrate(program, space, [images])
    ranges = {layer: chosen_ranges(found, layer, {"input": own.input, "other": own.other})
              for layer, own in schemes.items()}
    fake = FakeQuantizer(layers=layers, weights=Weights(program, layers))
    return Integer()(program, fake, schemes, ranges)


def onnx_file(model, image, folder):
    file = Path(folder) / "model.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (image,), str(file), dynamo=False, opset_version=17,
                          input_names=["x"], output_names=["y"])
    return file


def ort_runtimes(file, array):
    """float32, and linear layers in bytes: saturating, and right with 7-bit weights."""
    def call(model):
        run = session(str(model)).run
        return lambda: run(None, {"x": array})[0]
    return {"ORT fp32": call(file), "ORT dynamic int8": call(dynamic_int8(file)),
            "ORT dynamic int8, 7-bit weights": call(dynamic_int8(file, reduce_range=True))}


def openvino_runtimes(file, array):
    """float32, and what NNCF quantizes for transformers, calibrated with a few random images."""
    run = compiled(str(file))
    made = {"OpenVINO fp32": lambda: run(array)[0]}
    if find_spec("nncf"):
        import nncf
        import openvino

        nncf.set_log_level(logging.ERROR)
        images = nncf.Dataset([torch.randn(1, 3, 224, 224).numpy() for _ in range(4)])
        with contextlib.redirect_stdout(io.StringIO()):
            own = compiled(nncf.quantize(openvino.Core().read_model(str(file)), images,
                                         model_type=nncf.ModelType.TRANSFORMER, subset_size=4))
        made["OpenVINO int8 (NNCF)"] = lambda: own(array)[0]
    return made


def runtimes(model, image, folder):
    """What other libraries make of *model*, as calls."""
    torch.backends.quantized.engine = "x86"
    dynamic = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    made = {"torch dynamic int8 (7-bit inputs)": lambda: dynamic(image)}
    if find_spec("onnxruntime") and find_spec("onnx"):
        file, array = onnx_file(model, image, folder), image.numpy()
        made |= ort_runtimes(file, array)
        if find_spec("openvino"):
            made |= openvino_runtimes(file, array)
    return made


def ours(model, image):
    made = {f"W{bits}A8": integer(model, bits) for bits in WIDTHS}
    made |= {f"W{bits}A8, attention in float": integer(model, bits, attention=False)
             for bits in WIDTHS}
    return {name: lambda own=own: own(image) for name, own in made.items()}


def compared(name, options):
    """The calls of one model, their times in each repeat, and how far off their results are."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval().requires_grad_(False)
    image = torch.randn(1, 3, 224, 224)
    calls = {"torch fp32": lambda: model(image), **ours(model, image)}
    timm.layers.set_fused_attn(enable=False)
    plain = timm.create_model(name, pretrained=False).eval()
    timm.layers.set_fused_attn(enable=True)
    plain.load_state_dict(model.state_dict())
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        calls |= runtimes(plain, image, folder)
        exact = model(image)
        off = {own: float((torch.as_tensor(call()) - exact).norm() / exact.norm())
               for own, call in calls.items()}
        return [best_of(calls, options.rounds) for _ in range(options.repeats)], off


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.models:
        repeats, off = compared(name, options)
        print(f"\n| {name} | ms | {OWN} is times as fast | off from float |\n"
              "|---|---:|---:|---:|")
        for call in off:
            each = [times[call] / times[OWN] for times in repeats]
            print(f"| {call} | {1e3 * min(times[call] for times in repeats):.1f} | "
                  f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f}) | {off[call]:.1%} |",
                  flush=True)


if __name__ == "__main__":
    main()
