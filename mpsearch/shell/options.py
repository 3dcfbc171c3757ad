"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mpsearch.plugins import BUILTIN
from mpsearch.shell.terminal import parse_bytes
from mpsearch.steps.request import DEFAULT_ESTIMATOR, DEFAULT_MODEL, DEFAULT_SPACE
from mpsearch.workspace import DEFAULT

PATH = click.Path(path_type=Path)
Option = Callable[[Callable[..., Any]], Callable[..., Any]]

MODEL_IS = "timm name, package.module:function or file.py:function; by default the "
MODEL = click.option("--model", "-m", help=f"{MODEL_IS}embedded digits model ({DEFAULT_MODEL}).")
WEIGHTS = click.option(
    "--weights", help="Weights of the model: .safetensors or .pth, read without running pickled "
    "code.")
DATA = click.option(
    "--data", "-d", help="Image folder, CSV of file,label[,split], .npz, or "
    "package.module:function yielding batches.")
SPACE = click.option("--space", default=DEFAULT_SPACE,
                     help="Search space: a shipped name or a TOML file.")
ESTIMATOR = click.option("--estimator", default=DEFAULT_ESTIMATOR,
                         help=f"Sensitivity estimator: {', '.join(BUILTIN['estimator'])}.")
ALLOCATOR = click.option("--allocator", default="ilp",
                         help=f"Allocator: {', '.join(BUILTIN['allocator'])}.")
CALIBRATION = click.option("--calibration-samples", default=128,
                           help="Samples that estimators and activation ranges see.")
EVALUATION = click.option("--evaluation-samples", default=512,
                          help="Held-out samples that policies are measured on.")
BATCH_SIZE = click.option("--batch-size", default=32, help="Samples a batch.")
SEED = click.option("--seed", default=0, help="Seed of everything that is drawn.")
MEMORY = click.option("--memory", default="2GiB",
                      help="Activations that an estimator may hold at a time, as 2GiB.",
                      callback=lambda _context, _option, text: parse_bytes(text))
DEVICE = click.option(
    "--device", metavar="NAME", help="Device that a latency counts on: a table that profile made "
    "or imported (host by default), or a shipped profile such as zen5, h200; with batch and "
    "threads as host(batch=8,threads=2).")
JOBS = click.option("--jobs", "-j", default=1,
                    help="Processes that score layers, or run batches of a search, side by side; "
                    "each loads the model.")
WORKSPACE = click.option("--workspace", default=DEFAULT, metavar="PATH",
                         help="Folder of measured products.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def output(default: str) -> Option:
    """The file to write."""
    return click.option("--output", "-o", type=PATH, default=Path(default), help="File to write.")


def budgets(text: str) -> Option:
    """Any number of budgets."""
    return click.option("--budget", "-b", multiple=True, metavar="BUDGET", help=text)


def options(*given: Option) -> Option:
    """All of *given*, in the order in which help lists them."""
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(given):
            command = option(command)
        return command
    return add
