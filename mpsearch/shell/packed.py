"""What `run` prints of packed files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import human_bytes, percent
from mpsearch.shell.runs import evaluation_data, evaluation_tables, speed_data, speed_tables
from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.steps.pack import Packing
    from mpsearch.steps.unpack import PackedRun


def require_one_source(policy: Path | None, packed: Path | None, save: Path | None,
                       weights: str | None) -> None:
    """Check what `run` is given to run.

    Raises:
        BadInput: not one of policy and packed file, what goes with the policy alone, or the policy
            would be written over.
    """
    if (policy is None) == (packed is None):
        raise BadInput("give a policy to run (--policy FILE) or a packed model (--packed FILE), "
                       "one of them")
    if packed is not None and save is not None:
        raise BadInput("--save writes a policy with its model: give --policy, or copy the packed "
                       "file")
    if packed is not None and weights is not None:
        raise BadInput("a packed file has its own weights: leave out --weights")
    if packed is not None and _was_given("workspace"):
        raise BadInput("a packed file has all that was measured: leave out --workspace")
    if save is not None:
        io.require_apart(save, policy)


def _was_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def packing_notes(policy: Policy, done: Packing) -> list[str]:
    """Whether the file is as large as the policy said."""
    stated, found = policy.totals.file_bytes, done.written.file_bytes
    if stated == found:
        return []
    return [(f"the file has {found} bytes, the policy states {stated}: it was changed, or made by "
             "another version; the copy in the file states what is true")]


def packing_data(done: Packing, backend: str, path: Path) -> dict[str, Any]:
    """What `run --save` prints with ``--json``."""
    written = done.written
    measured = evaluation_data(written.policy, done.evaluation, backend) if done.evaluation else {
        "backend": backend, "totals": io.to_data(written.policy.totals)}
    return {**measured, "speed": speed_data(done.speed), "file_bytes": written.file_bytes,
            "header_bytes": written.header_bytes, "files": [str(path)]}


def packing_tables(done: Packing, path: Path) -> Tables:
    """The policy's measures, where it was run, and the file."""
    written = done.written
    parts = evaluation_tables(written.policy, done.evaluation) if done.evaluation else []
    sizes = human_bytes(written.file_bytes), human_bytes(written.header_bytes)
    return [*parts, *speed_tables(done.speed),
            f"wrote {path}: {sizes[0]}, of which the header is {sizes[1]}"]


def packed_data(found: PackedRun, backend: str) -> dict[str, Any]:
    """What `run --packed` prints with ``--json``."""
    return {"score": io.to_data(found.score) if found.score else None, "backend": backend,
            "speed": speed_data(found.speed),
            "model": io.to_data(found.policy.model), "totals": io.to_data(found.policy.totals),
            "file_bytes": found.file_bytes, "header_bytes": found.header_bytes,
            "layers": {name: str(scheme) for name, scheme in found.policy.layers.items()},
            "notes": list(found.notes)}


def packed_tables(found: PackedRun) -> Tables:
    """What is in the file, and how often it was right, a fact a row."""
    policy, score = found.policy, found.score
    facts = [("model", policy.model.source),
             ("bits per weight", f"{policy.totals.bits_per_weight:.3f}"),
             ("whole file", human_bytes(found.file_bytes)),
             ("header", human_bytes(found.header_bytes))]
    if score is not None:
        facts += [("held-out samples", str(score.samples)),
                  ("top-1", percent(score.top1, score.top1_stderr))]
    if policy.evaluation is not None and policy.evaluation.top1 is not None:
        made = policy.evaluation
        facts += [(f"top-1 when it was made ({made.samples} samples)",
                   percent(made.top1, made.top1_stderr))]
    done = [] if score else ["it runs; give --data to see how often it is right"]
    return [Grid(title="Packed model", columns=words("") + numbers("value"), rows=tuple(facts)),
            *speed_tables(found.speed), *done]
