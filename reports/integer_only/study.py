"""A trained ViT-Tiny in integers alone, beside float and simulated W8A8: results.json, tables.md.

    OMP_NUM_THREADS=1 python reports/integer_only/study.py --weights vit_tiny_patch16_224.safetensors \\
        --data imagenet_sample

One policy (8-bit weights, a scale a channel; 8-bit activations, one calibrated range) is run by both
backends on the same held-out images. Then functions are exchanged one by one for exact ones on the
same grids (exact.py). Interrupted, it goes on with the next row.
"""

from __future__ import annotations

import argparse
import json
from functools import cached_property
from pathlib import Path

import torch
from exact import with_integer

from mpsearch import metrics, plugins
from mpsearch.core.io import write
from mpsearch.steps.choice import ranges_of, schemes_of
from mpsearch.steps.compare import compare
from mpsearch.steps.measure import measure
from mpsearch.steps.progress import bar
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent
ALL = ("softmax", "gelu", "layernorm")
ROWS = {  # title: (settings of the backend, functions that are integer)
    "integer_only": ("", ALL),
    "all functions exact": ("", ()),
    "integer softmax only": ("", ("softmax",)),
    "integer LayerNorm only": ("", ("layernorm",)),
    "integer GELU only": ("", ("gelu",)),
    "integer GELU only, `gelu=lambda`": ("gelu=lambda", ("gelu",)),
    "integer GELU only, `gelu=shift`": ("gelu=shift", ("gelu",)),
    "`bits=16`": ("bits=16", ALL),
    "`gelu=shift`": ("gelu=shift", ALL),
}
DISTURBED = {"simulated, patches off by 1e-6": 1e-6}
"""What the first layer's output is multiplied with differs from 1 by at most this."""


class Study:
    """The network, one policy, and the outputs that rows are compared with."""

    def __init__(self, args):
        self.session = open_session("vit_tiny_patch16_224", Workspace(args.workspace), {
            "weights": args.weights, "data": args.data, "space": str(HERE / "w8a8.toml"),
            "calibration_samples": 32, "evaluation_samples": args.evaluation_samples,
            "batch_size": 8})
        measured = measure(self.session, [], bar)
        self.schemes = schemes_of(measured.record.space, [0] * len(measured.record.space.groups))
        self.ranges = ranges_of(measured, self.schemes)

    def module(self, backend):
        captured = self.session.captured
        return plugins.make("backend", backend)(captured.program, captured.fake, self.schemes,
                                                self.ranges)

    @cached_property
    def float(self):
        return self.outputs(self.session.captured.program.run)

    @cached_property
    def simulated(self):
        return self.outputs(self.module("simulated"))

    @cached_property
    def labels(self):
        return torch.cat([batch.labels for batch in self.session.evaluation])

    def disturbed(self, most):
        """The simulated network with noise of the size of float rounding on the patches."""
        simulated, program = self.module("simulated"), self.session.captured.program
        stored = {node: simulated.get_buffer(name)
                  for name, (_, node) in simulated._buffer_of.items()}
        torch.manual_seed(0)

        def watch(site, args, kwargs, output, env):
            if site.layers != ("patch_embed.proj",):
                return output
            return output * (1 + torch.empty_like(output).uniform_(-most, most))

        return self.outputs(lambda args: program.run(args, simulated._changes, watch, stored))

    @torch.no_grad()
    def outputs(self, run):
        single = run if isinstance(run, torch.nn.Module) else lambda *args: run(args)
        return torch.cat([single(*batch.args) for batch in self.session.evaluation])

    def row(self, outputs):
        kl = metrics.kl(self.float, outputs).tolist()
        base = metrics.kl(self.float, self.simulated).tolist()
        against = compare(kl, base)
        return {"samples": len(kl), "kl": sum(kl) / len(kl),
                "kl_to_simulated": float(metrics.kl(self.simulated, outputs).mean()),
                "agreement": float(metrics.agreement(self.float, outputs).float().mean()),
                "top1": float(metrics.correct(outputs, self.labels).float().mean()),
                "difference": against.difference, "low": against.low, "high": against.high,
                "verdict": against.verdict}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workspace", default=".mpsearch")
    parser.add_argument("--evaluation-samples", type=int, default=256)
    args = parser.parse_args()
    path = HERE / "results.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    study = Study(args)
    for title in ("float", "simulated"):
        found.setdefault(title, study.row(getattr(study, title)))
    for title, most in DISTURBED.items():
        if title not in found:
            found[title] = study.row(study.disturbed(most))
            save(path, found)
    for title, (settings, kept) in ROWS.items():
        if title not in found:
            module = study.module(f"integer_only({settings})" if settings else "integer_only")
            found[title] = study.row(study.outputs(
                module if kept == ALL else with_integer(module, kept)))
            save(path, found)


def save(path, found):
    """Write what is known so far, and its table."""
    write(path, (json.dumps(found, indent=1) + "\n").encode())
    write(HERE / "tables.md", table(found).encode())


def table(found):
    lines = ["| run | KL to float | KL to simulated | agreement with float % | top-1 % | "
             "KL less simulated's, 95 % |", "|---|---:|---:|---:|---:|---|"]
    for title, row in found.items():
        lines.append(
            f"| {title} | {row['kl']:.4f} | {row['kl_to_simulated']:.4f} | "
            f"{100 * row['agreement']:.1f} | {100 * row['top1']:.1f} | {row['difference']:+.4f} "
            f"({row['low']:+.4f} to {row['high']:+.4f}), {row['verdict']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
