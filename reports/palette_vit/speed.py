"""How long quantizing ViT-Tiny takes, and a forward pass with quantized activations: results_speed.json.

    OMP_NUM_THREADS=2 python reports/palette_vit/speed.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

Every width of every kind of weight format is fitted to every weight of the network and rounded once,
in the usual granularity. Forward passes of the float model and of quantized ones alternate; the ratio
is of medians. With --plain the loops are those that run where numba is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
from network import add_arguments, opened

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import registry
from mpsearch.core.io import write
from mpsearch.core.types import Scheme
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.rounding import choose
from mpsearch.steps.choice import ranges_of
from mpsearch.steps.measure import measure
from mpsearch.steps.progress import bar

HERE = Path(__file__).parent
ROUNDS = 15
MIXES = {  # what goes on values after a softmax, after a GELU, and on all others
    "int8": ("int bits=8", "int bits=8", "int bits=8"),
    "int4": ("int bits=4", "int bits=4", "int bits=4"),
    "log2 and two_region at 4 bits, int4": ("log2 bits=4", "two_region bits=4", "int bits=4"),
    "adalog at 4 bits, int4": ("adalog bits=4", "adalog bits=4", "int bits=4"),
    "tan and two_region at 6 bits, int6": ("tan bits=6", "two_region bits=6", "int bits=6"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--only", choices=("fits", "forward"))
    parser.add_argument("--kinds", help="kinds to fit, with commas between them; others stay")
    parser.add_argument("--plain", action="store_true", help="round without numba")
    args = parser.parse_args()
    if args.plain:
        choose.loops = lambda plain, *_, **__: plain
    path = HERE / "results_speed.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    session = opened(args, "forward.toml", calibration=32, evaluation=8)
    where = {"threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 1)}
    if args.only != "forward":
        known = document.get("fits", {}).get("times", {}) if args.kinds else {}
        times = fits(session, args.kinds.split(",") if args.kinds else registry.kinds())
        document["fits"] = {**where, "times": {**known, **times}}
    if args.only != "fits":
        name = "forward_plain" if args.plain else "forward"
        document[name] = {**where, "times": forward(session)}
    write(path, (json.dumps(document, indent=1) + "\n").encode())
    print(json.dumps(document, indent=1))


def fits(session, kinds):
    """CPU and wall seconds of each of *kinds* over all weights and widths."""
    weights = session.captured.fake.weights
    rows = [weights.rows(layer.name) for layer in session.captured.layers.specs if layer.weight]
    found = {}
    for kind in kinds:
        formats = widths_of(kind)
        if not formats:
            continue
        quantizer = plugins.load("quantizer", kind)()
        wall, cpu = time.perf_counter(), time.process_time()
        for x in rows:
            for fmt, params in zip(formats, quantizer.fit(x, formats), strict=True):
                fake_quantize(quantizer, x, params, fmt)
        found[kind] = {"formats": len(formats), "wall_s": time.perf_counter() - wall,
                       "cpu_s": time.process_time() - cpu}
        print(kind, found[kind], flush=True)
    return found


def widths_of(kind):
    cls = registry.format_class(kind)
    made = []
    for width in cls.WIDTHS if "weight" in cls.OPERANDS else ():
        try:
            made.append(cls(**{**cls.usual("weight", {}), "bits": width}))
        except BadInput:  # a vector of the usual length has no such width
            continue
    return made


def forward(session):
    """Seconds of a batch, float and with every activation quantized."""
    measured = measure(session, [], bar)
    space = measured.record.space
    captured, batch = session.captured, next(iter(session.evaluation))
    by_key = {fmt.key: fmt for group in space.groups for scheme in group.schemes
              for fmt in (scheme.input, scheme.other) if fmt is not None}
    modules = {"float": None}
    for name, formats in MIXES.items():
        chosen = [find(by_key, text) for text in formats]
        schemes = {layer.name: scheme_of(layer, chosen) for layer in space.layers
                   if measured.record.ranges.get(layer.name)}
        modules[name] = plugins.load("backend", "simulated")()(
            captured.program, captured.fake, schemes, ranges_of(measured, schemes))
    times = {name: [] for name in modules}
    with torch.no_grad():
        for _ in range(ROUNDS + 1):
            for name, module in modules.items():
                start = time.process_time()
                _ = captured.program.run(batch.args) if module is None else module(*batch.args)
                times[name].append(time.process_time() - start)
    middle = {name: statistics.median(each[1:]) for name, each in times.items()}
    return {name: {"cpu_s": value, "ratio": value / middle["float"]}
            for name, value in middle.items()}


def find(by_key, text):
    kind, bits = text.split()
    return next(fmt for key, fmt in by_key.items() if fmt.kind == kind and fmt.calibrated
                and f" {bits} " in f" {key} ")


def scheme_of(layer, chosen):
    softmax, gelu, other = chosen
    fmt = (softmax if layer.name.endswith(".matmul_1") else
           gelu if layer.name.endswith(".fc2") else other)
    return Scheme(input=fmt, other=other).for_kind(layer.kind)


if __name__ == "__main__":
    main()
