"""Do skipped blocks, heads and hidden units pay beside bits, at the same bytes?

    python reports/subnet/study.py
    python reports/subnet/study.py --model vit_tiny_patch16_224 \
        --weights vit_tiny_patch16_224.safetensors --data imagenet_sample \
        --calibration-samples 32 --evaluation-samples 192

The first is the embedded network on its digits.
Three spaces with the same widths: every layer by itself, one width for each residual branch, and
the same with sub-networks. Scores come from the calibration split, every number in the table from
the evaluation split. Writes results_MODEL.json and table_MODEL.md beside this file. Interrupted,
it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mpsearch.core.budget import Budget
from mpsearch.core.io import to_data, write
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import runnable, schemes_of, totals_of
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.progress import bar
from mpsearch.steps.request import DEFAULT_MODEL
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
SPACES = ("bits", "bits_by_branch", "subnet")
BITS = (2.5, 3.0, 3.5, 4.0)
ESTIMATOR = "kl_probe"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--weights")
    parser.add_argument("--data")
    parser.add_argument("--calibration-samples", type=int, default=128)
    parser.add_argument("--evaluation-samples", type=int, default=512)
    parser.add_argument("--workspace", default=".mpsearch")
    return parser.parse_args()


def main():
    args = arguments()
    found = {space: answers(args, space) for space in SPACES}
    rows = []
    for bits in BITS:
        for space in SPACES:
            entry, measurement = found[space][bits]
            for other in SPACES[:2]:
                if other != space:
                    difference = compare(measurement.kl, found[other][bits][1].kl)
                    entry[f"against_{other}"] = {
                        **to_data(difference), "verdict": difference.verdict}
            rows.append(entry)
    document = {"model": args.model, "estimator": ESTIMATOR,
                "calibration_samples": args.calibration_samples,
                "evaluation_samples": rows[0]["samples"], "rows": rows}
    name = "digits" if args.model == DEFAULT_MODEL else args.model
    write(HERE / f"results_{name}.json", (json.dumps(document, indent=1) + "\n").encode())
    write(HERE / f"table_{name}.md", table(rows).encode())
    print(table(rows))


def answers(args, space):
    """For every budget, the allocated policy of *space* as a row, and its measurement."""
    session = open_session(args.model, Workspace(args.workspace), {
        "weights": args.weights, "data": args.data, "space": str(HERE / f"{space}.toml"),
        "calibration_samples": args.calibration_samples,
        "evaluation_samples": args.evaluation_samples})
    measured = measure(session, [ESTIMATOR], bar)
    choices = {bits: allocate(measured, ESTIMATOR, [Budget(
        metric="bits_per_weight", limit=bits, text=f"{bits}bpw")]).selection.choice
        for bits in BITS}
    ran = measure_policies(session, {str(bits): runnable(measured, choice)
                                     for bits, choice in choices.items()}, bar)
    return {bits: (row(measured, space, bits, choice, ran[str(bits)]), ran[str(bits)])
            for bits, choice in choices.items()}


def row(measured, space, bits, choice, measurement):
    totals = totals_of(measured, choice, measured.tables[ESTIMATOR])
    keeps = {scheme.keep.branch: str(scheme.keep)
             for scheme in schemes_of(measured.record.space, choice).values() if scheme.keep}
    return {"space": space, "budget": bits, "bits_per_weight": totals.bits_per_weight,
            "file_bytes": totals.file_bytes, "predicted": totals.predicted_loss,
            "left_out": keeps, **to_data(measurement.evaluation)}


def table(rows):
    lines = ["| budget | space | bits per weight | predicted KL | measured KL | top-1 | against "
             "bits | against bits_by_branch | left out |",
             "|---:|---|---:|---:|---:|---:|---|---|---|"]
    for entry in rows:
        against = [(entry.get(f"against_{space}") or {}).get("verdict", "-")
                   for space in SPACES[:2]]
        left = ", ".join(f"{branch}: {what}" for branch, what in entry["left_out"].items())
        lines.append(
            f"| {entry['budget']} | {entry['space']} | {entry['bits_per_weight']:.3f} | "
            f"{entry['predicted']:.4f} | {entry['kl']:.4f} ± {entry['kl_stderr']:.4f} | "
            f"{100 * entry['top1']:.1f} % | {against[0]} | {against[1]} | {left or 'nothing'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
