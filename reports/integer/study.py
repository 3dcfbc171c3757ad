"""Allocated policies of a trained ViT-Tiny in integers, image by image beside the simulated ones.

    OMP_NUM_THREADS=1 python reports/integer/study.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

For each menu a policy is allocated and kept in the workspace. Then all evaluation images go through
four networks: float, simulated, simulated with exact sums, and integer. results.json is written
after every batch; interrupted, the study goes on with the next one.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import torch

import mpsearch
from mpsearch import metrics, plugins
from mpsearch.core.io import write
from mpsearch.kernels import kernels
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
MENUS = {  # title: (space, budgets)
    "a scale a channel, calibrated activations": ("channel_static.toml", ["4.5bpw"]),
    "groups, activations rescaled a token": ("grouped_token.toml", ["4.5bpw"]),
    "widths of weights and activations": ("weights_and_activations.toml", ["4.5bpw", "45GBOPs"]),
}
NETWORKS = {"simulated": "simulated", "exact": "simulated(exact=true)", "integer": "integer"}
"""What runs the policy, by name."""


def allocated(menu, args):
    """The session and the policy of *menu*, which the workspace keeps."""
    space, budgets = MENUS[menu]
    options = {"weights": args.weights, "data": args.data, "space": str(HERE / space),
               "calibration_samples": 32, "evaluation_samples": args.evaluation_samples,
               "batch_size": 8}
    found = mpsearch.allocate(budgets, "vit_tiny_patch16_224", estimator="output_error",
                              verify=False, keep=True, calibration_policies=0,
                              workspace=args.workspace, progress=bar, **options)
    return open_session("vit_tiny_patch16_224", Workspace(args.workspace), options), found.policy


def tallies(outputs, labels):
    """What is counted on one batch: numbers that add up over batches."""
    exact, simulated, integer = (outputs[name] for name in ("exact", "simulated", "integer"))
    first = {name: logits.argmax(-1) for name, logits in outputs.items()}

    def same(one, two):
        return int((first[one] == first[two]).sum())

    return {"images": len(labels),
            "identical": int((exact == integer).all(-1).sum()),
            "top1_as_exact": same("exact", "integer"),
            "top1_as_simulated": same("simulated", "integer"),
            "kl_to_simulated": float(metrics.kl(simulated, integer).sum()),
            **{f"kl_{name}": float(metrics.kl(outputs["float"], outputs[name]).sum())
               for name in NETWORKS},
            **{f"right_{name}": int(metrics.correct(logits, labels).sum())
               for name, logits in outputs.items()}}


@torch.no_grad()
def study(menu, args, found, save):
    """Go on with *menu* where *found* stopped."""
    own = found.setdefault(menu, {"batches": 0, "totals": {}})
    if own.get("done"):
        return
    session, policy = allocated(menu, args)
    captured = session.captured
    own["bits"] = policy.totals.bits_per_weight
    own["kernels"] = kernels().path if kernels() else "torch"
    modules = {name: plugins.make("backend", backend)(
        captured.program, captured.fake, policy.layers, policy.activations)
        for name, backend in NETWORKS.items()}
    own["layers"], own["in_integers"] = len(policy.layers), len(modules["integer"].in_integers)
    for batch in itertools.islice(session.evaluation, own["batches"], None):
        outputs = {"float": captured.program.run(batch.args),
                   **{name: module(*batch.args) for name, module in modules.items()}}
        for key, value in tallies(outputs, batch.labels).items():
            own["totals"][key] = own["totals"].get(key, 0) + value
        own["batches"] += 1
        save()
    own["done"] = True
    save()


def table(found):
    lines = ["| menu | bits a weight | layers in integers | logits identical | top-1 identical | "
             "top-1 as with float sums | KL float, simulated | KL float, integer | "
             "KL simulated, integer | top-1 %: float, simulated, integer |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for menu, own in found.items():
        t = own["totals"]
        n = t["images"]
        right = ", ".join(f"{100 * t[f'right_{name}'] / n:.1f}"
                          for name in ("float", "simulated", "integer"))
        lines.append(
            f"| {menu} | {own['bits']:.2f} | {own['in_integers']} of {own['layers']} | "
            f"{t['identical']} of {n} | {t['top1_as_exact']} of {n} | "
            f"{t['top1_as_simulated']} of {n} | {t['kl_simulated'] / n:.4f} | "
            f"{t['kl_integer'] / n:.4f} | {t['kl_to_simulated'] / n:.4f} | {right} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workspace", default=".mpsearch")
    parser.add_argument("--evaluation-samples", type=int, default=744)
    args = parser.parse_args()
    path = HERE / "results.json"
    found = json.loads(path.read_text()) if path.exists() else {}

    def save():
        write(path, (json.dumps(found, indent=1) + "\n").encode())
        write(HERE / "tables.md", table(found).encode())

    for menu in MENUS:
        study(menu, args, found, save)
    print(table(found))


if __name__ == "__main__":
    main()
