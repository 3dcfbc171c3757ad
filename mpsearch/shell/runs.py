"""What `run` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mpsearch.core import io
from mpsearch.core.types import Evaluation, Policy
from mpsearch.report import table
from mpsearch.report.units import percent, with_error
from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.report.speed import Speed
    from mpsearch.steps.speed import Timed


def timed_data(policy: Policy, timed: Timed, backend: str) -> dict[str, Any]:
    """What `run` prints with ``--json``."""
    return {**evaluation_data(policy, timed.evaluation, backend), "speed": speed_data(timed.speed)}


def timed_tables(policy: Policy, timed: Timed) -> Tables:
    """The policy's measures, and its size and speed beside the float model."""
    return [*evaluation_tables(policy, timed.evaluation), *speed_tables(timed.speed)]


def speed_data(speed: Speed | None) -> dict[str, Any] | None:
    """A policy's speed as plain data."""
    return None if speed is None else {**asdict(speed), "ratio": speed.ratio}


def speed_tables(speed: Speed | None) -> Tables:
    """Size and milliseconds of the float model and of a policy, and what to make of them."""
    if speed is None:
        return []
    from mpsearch.report.speed import beside, slower

    return [beside(speed), *slower(speed)]


def evaluation_data(policy: Policy, evaluation: Evaluation, backend: str) -> dict[str, Any]:
    """A policy's measures as plain data."""
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
