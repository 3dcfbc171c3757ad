"""Every quantizer alone in an otherwise float ViT-Tiny: results_alone.json.

    OMP_NUM_THREADS=2 python reports/palette_vit/alone.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

A weight format goes on all weights, an activation format on all values after a softmax, a GELU or a
LayerNorm. Scales are fitted on the calibration split, KL and top-1 are of the evaluation split.
Interrupted, it goes on where it stopped. report.py makes the tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from network import add_arguments, opened

from mpsearch.core.io import to_data, write
from mpsearch.core.types import Scheme
from mpsearch.cost.size import size
from mpsearch.steps.choice import ranges_of
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import Runnable, measure_policies
from mpsearch.steps.progress import bar

HERE = Path(__file__).parent
SITES = {"softmax": (".matmul_1",), "gelu": (".fc2",), "layernorm": (".qkv", ".fc1")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--calibration-samples", type=int, default=32)
    parser.add_argument("--evaluation-samples", type=int, default=256)
    args = parser.parse_args()
    document = {"calibration": args.calibration_samples, "evaluation": args.evaluation_samples,
                "weights": weights(session(args, "weights.toml")),
                "activations": activations(session(args, "activations.toml"))}
    write(HERE / "results_alone.json", (json.dumps(document, indent=1) + "\n").encode())


def session(args, space):
    return opened(args, space, calibration=args.calibration_samples,
                  evaluation=args.evaluation_samples)


def weights(session):
    """A row a weight format: KL and top-1 with it on every weight, and true bits a weight."""
    space = measure(session, [], bar).record.space
    sizes = size(space)
    policies, bits = {}, {}
    for scheme in max((group.schemes for group in space.groups), key=len):
        label = scheme.weight.key
        policies[label] = Runnable(schemes={layer.name: scheme.for_kind(layer.kind)
                                            for layer in space.layers if layer.weight}, ranges={})
        places = [next((k for k, own in enumerate(group.schemes)
                        if own.weight == scheme.weight), 0) for group in space.groups]
        bits[label] = sizes.total(places) / space.weights
    found = measure_policies(session, policies, bar)
    return {label: {"bits_per_weight": bits[label], **to_data(each.evaluation)}
            for label, each in found.items()}


def activations(session):
    """A row a site and activation format."""
    measured = measure(session, [], bar)
    space = measured.record.space
    formats = dict.fromkeys(scheme.input for group in space.groups for scheme in group.schemes
                            if scheme.input)
    policies = {}
    for site, ends in SITES.items():
        names = [layer.name for layer in space.layers if layer.name.endswith(ends)]
        for fmt in formats:
            schemes = {name: Scheme(input=fmt) for name in names}
            policies[f"{site} {fmt.key}"] = Runnable(
                schemes=schemes, ranges=ranges_of(measured, schemes))
    found = measure_policies(session, policies, bar)
    return {label: to_data(each.evaluation) for label, each in found.items()}


if __name__ == "__main__":
    main()
