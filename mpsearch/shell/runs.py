"""What `run` prints."""

from __future__ import annotations

from typing import Any

from mpsearch.core import io
from mpsearch.core.types import Evaluation, Policy
from mpsearch.report import table
from mpsearch.report.units import percent, with_error
from mpsearch.shell.terminal import Tables


def evaluation_data(policy: Policy, evaluation: Evaluation, backend: str) -> dict[str, Any]:
    """What `run` prints with ``--json``."""
    return {**io.to_data(evaluation), "backend": backend, "totals": io.to_data(policy.totals)}


def evaluation_tables(policy: Policy, evaluation: Evaluation) -> Tables:
    """The policy's measures in words."""
    from mpsearch.report.front import MeasuredPoint

    point = MeasuredPoint(
        label=policy.model.source, bits_per_weight=policy.totals.bits_per_weight,
        file_bytes=policy.totals.file_bytes, evaluation=evaluation, kind="allocated")
    summary = (f"KL to the float model {with_error(evaluation.kl, evaluation.kl_stderr)} nats, "
               f"agreement {percent(evaluation.agreement, evaluation.agreement_stderr)}")
    return [table.comparison(table.Comparison(points=(point,))), summary]
