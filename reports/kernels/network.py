"""Whole vision transformers at batch 1, one thread, random weights: ours and other runtimes.

    OMP_NUM_THREADS=1 python -W ignore reports/kernels/network.py [--rounds 10] [--models NAME ...]
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import timm
import torch
from measure import best_of
from peers import compiled, dynamic_int8, session, there

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
INTEGERS = IntFormat(bits=8, granularity="tensor", symmetric=False)


def integer(model, bits):
    """*model* on the integer backend: weights of so many bits, 8-bit activations, attention too."""
    images = (torch.randn(2, 3, 224, 224),)
    traced = trace(model, images)
    layers = find_layers(traced, measure_shapes(Program(traced), images))
    program = Program(traced, layers.sites)
    scheme = Scheme(weight=IntFormat(bits=bits, granularity="channel"), input=INTEGERS,
                    other=INTEGERS)
    schemes = {spec.name: scheme.for_kind(spec.kind) for spec in layers.specs}
    space = SearchSpace(name="all", layers=layers.specs, groups=tuple(
        Group(name=name, layers=(name,), schemes=(own,)) for name, own in schemes.items()))
    found = calibrate(program, space, [images])
    ranges = {layer: chosen_ranges(found, layer, {"input": own.input, "other": own.other})
              for layer, own in schemes.items()}
    fake = FakeQuantizer(layers=layers, weights=Weights(program, layers))
    return Integer()(program, fake, schemes, ranges)


def runtimes(model, image, folder):
    """What other libraries make of *model*, as calls."""
    if not there("onnxruntime"):
        return {}
    file = Path(folder) / "model.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (image,), str(file), dynamo=False, opset_version=17,
                          input_names=["x"], output_names=["y"])
    array = image.numpy()
    exact, fast = session(str(file)), session(dynamic_int8(file))
    made = {"ORT fp32": lambda: exact.run(None, {"x": array}),
            "ORT dynamic int8": lambda: fast.run(None, {"x": array})}
    if there("openvino"):
        run = compiled(str(file))
        made["OpenVINO fp32"] = lambda: run(array)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=MODELS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.models:
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False).eval().requires_grad_(False)
        image = torch.randn(1, 3, 224, 224)
        ours = {bits: integer(model, bits) for bits in (4, 8)}
        calls = {"torch fp32": lambda model=model: model(image),
                 **{f"W{bits}A8": lambda own=own: own(image) for bits, own in ours.items()}}
        timm.layers.set_fused_attn(enable=False)
        plain = timm.create_model(name, pretrained=False).eval()
        timm.layers.set_fused_attn(enable=True)
        plain.load_state_dict(model.state_dict())
        with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
            calls |= runtimes(plain, image, folder)
            times = best_of(calls, options.rounds)
        print(f"\n| {name} | ms | W4A8 is times as fast |\n|---|---:|---:|")
        for call, seconds in times.items():
            print(f"| {call} | {1e3 * seconds:.1f} | {seconds / times['W4A8']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
