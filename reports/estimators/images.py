"""Does the default gain from more images? Probes of few images against those of many.

    python reports/estimators/images.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

Picks by kl_probe from 48 and from 128 images, measured on the same held-out ones. Writes
results_images.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from picks import bits, pick

from mpsearch.core.io import to_data, write
from mpsearch.steps.choice import runnable
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
BUDGETS = (3.0, 3.5, 4.0, 4.5, 5.0)
COUNTS = (128, 48)  # the first is what the others are compared with


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workspace", default=".mpsearch")
    args = parser.parse_args()
    rows = {}
    for count in COUNTS:
        session = open_session(args.model, Workspace(args.workspace), {
            "weights": args.weights, "data": args.data, "calibration_samples": count,
            "evaluation_samples": 256})
        measured = measure(session, ["kl_probe"], bar)
        if count == COUNTS[0]:
            judge = session, measured
        choices = {f"{limit} bpw": pick(session, measured, "kl_probe", bits(limit), bar)
                   for limit in BUDGETS}
        rows[count] = measure_policies(judge[0], {
            label: runnable(judge[1], choice) for label, choice in choices.items()}, bar)
    document = {count: {label: {
        **to_data(each.evaluation),
        "against": to_data(compare(each.kl, rows[COUNTS[0]][label].kl))}
        for label, each in own.items()} for count, own in rows.items()}
    write(HERE / "results_images.json", (json.dumps(document, indent=1) + "\n").encode())
    for count, own in document.items():
        print(count, *(f"{label}: {row['kl']:.3f}" for label, row in own.items()))


if __name__ == "__main__":
    main()
