"""Integers alone against the palette, a whole ViT-Tiny at the same true bytes: results_whole.json.

    OMP_NUM_THREADS=2 python reports/palette_vit/whole.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample [--cases weights,w4a4,w3a3]

Both menus are scored by kl_probe on the calibration split and allocated by the integer program
under one limit, the true bits a weight; what is reported is of the evaluation split. With
activations every number has so many bits, and the limit is what int weights of that width with a
scale an output channel take. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from network import add_arguments, opened

from mpsearch.core.budget import Budget
from mpsearch.core.io import to_data, write
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import runnable, schemes_of, totals_of
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar

HERE = Path(__file__).parent
CASES = {
    "weights": ("integers.toml", "palette", (3.0, 3.5, 4.0)),
    "w4a4": ("w4a4_integers.toml", "w4a4_palette.toml", (4.07,)),
    "w3a3": ("w3a3_integers.toml", "w3a3_palette.toml", (3.07,)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--calibration-samples", type=int, default=32)
    parser.add_argument("--evaluation-samples", type=int, default=744)
    parser.add_argument("--cases", default=",".join(CASES))
    args = parser.parse_args()
    path = HERE / "results_whole.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    for case in args.cases.split(","):
        integers, palette, limits = CASES[case]
        pair = {name: allocated(args, space, limits)
                for name, space in (("integers", integers), ("palette", palette))}
        document[case] = {"calibration": args.calibration_samples,
                          "evaluation": args.evaluation_samples,
                          "budgets": {f"{limit:g}": told(pair, limit) for limit in limits}}
        write(path, (json.dumps(document, indent=1) + "\n").encode())


def allocated(args, space, limits):
    """For each limit the row of what a menu's allocation came to, and the KL of every sample."""
    session = opened(args, space, calibration=args.calibration_samples,
                     evaluation=args.evaluation_samples)
    measured = measure(session, ["kl_probe"], bar)
    choices = {limit: allocate(measured, "kl_probe", [Budget(
        metric="bits_per_weight", limit=limit, text=f"{limit}bpw")]).selection.choice
        for limit in limits}
    found = measure_policies(session, {str(limit): runnable(measured, choice)
                                       for limit, choice in choices.items()}, bar)
    return {limit: (row(measured, choice, found[str(limit)]), found[str(limit)].kl)
            for limit, choice in choices.items()}


def row(measured, choice, measurement):
    totals = totals_of(measured, choice, measured.tables["kl_probe"])
    schemes = schemes_of(measured.record.space, choice)
    types = {operand: dict(Counter(
        str(fmt) for scheme in schemes.values() if (fmt := getattr(scheme, operand)) is not None))
        for operand in ("weight", "input", "other")}
    return {"bits_per_weight": totals.bits_per_weight, "file_bytes": totals.file_bytes,
            "predicted": totals.predicted_loss, **to_data(measurement.evaluation),
            "formats": types}


def told(pair, limit):
    (mine, kl), (others, other_kl) = pair["palette"][limit], pair["integers"][limit]
    against = compare(kl, other_kl)
    return {"integers": others, "palette": mine, "ratio": mine["kl"] / others["kl"],
            "difference": against.difference, "low": against.low, "high": against.high,
            "verdict": against.verdict}


if __name__ == "__main__":
    main()
