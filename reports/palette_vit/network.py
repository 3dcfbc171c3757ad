"""The network and data of these studies, under one of their search spaces."""

from __future__ import annotations

from pathlib import Path

from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace

HERE = Path(__file__).parent


def add_arguments(parser):
    """The arguments that say where weights, data and workspace are."""
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workspace", default=".mpsearch")


def opened(args, space, *, calibration, evaluation):
    """ViT-Tiny with *space*, the name of a shipped one or of a file beside this one."""
    return open_session("vit_tiny_patch16_224", Workspace(args.workspace), {
        "weights": args.weights, "data": args.data,
        "space": str(HERE / space) if space.endswith(".toml") else space,
        "calibration_samples": calibration, "evaluation_samples": evaluation})
