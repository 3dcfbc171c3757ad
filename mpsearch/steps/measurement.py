"""Policies measured on held-out data, each run once and then kept in the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mpsearch.core.types import Evaluation, Scheme, StaticRange
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.session import Session
from mpsearch.workspace import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One policy's evaluation, with the KL of every sample for paired comparisons."""

    evaluation: Evaluation
    kl: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """What identifies a policy when it runs: the scheme of every layer, and static ranges."""

    schemes: dict[str, Scheme]
    ranges: dict[str, dict[str, StaticRange]]


Split = Literal["evaluation", "calibration"]
"""Held-out samples, or those that scores are made of: what decides may only see the latter."""


def measure_policies(session: Session, policies: Mapping[str, Runnable], progress: ProgressBar,
                     *, backend: str = "simulated",
                     split: Split = "evaluation") -> dict[str, Measurement]:
    """Evaluate each of *policies* on a *split*; those in the workspace are not run again."""
    data = (session.request.evaluation_key(session.key) if split == "evaluation"
            else digest({"study": session.key, "split": split}))
    keys = {label: digest({"data": data, "backend": backend, "policy": digest(policy)})
            for label, policy in policies.items()}
    found = {label: session.workspace.load("evaluations", key, Measurement)
             for label, key in keys.items()}
    missing = [label for label, measurement in found.items() if measurement is None]
    if missing:
        found |= _run(session, {label: policies[label] for label in missing}, keys, progress,
                      backend=backend, split=split)
    return {label: measurement for label, measurement in found.items() if measurement is not None}


def _run(session: Session, policies: Mapping[str, Runnable], keys: Mapping[str, str],
         progress: ProgressBar, *, backend: str, split: Split) -> dict[str, Measurement | None]:
    from mpsearch.fakequant.threads import threads_for
    from mpsearch.steps.evaluate import Evaluator

    found: dict[str, Measurement | None] = {}
    captured = session.captured
    held_out = split == "evaluation"
    batches = session.evaluation if held_out else session.calibrated
    title = f"running policies on {'held-out' if held_out else 'calibration'} data"
    with (progress(title, 1 + len(policies)) as step,
          threads_for(macs=captured.macs(session.request.batch_size))):
        evaluate = Evaluator(captured, batches)
        step(1)
        for label, policy in policies.items():
            measurement = evaluate(policy.schemes, policy.ranges, backend=backend)
            session.workspace.save("evaluations", keys[label], measurement)
            found[label] = measurement
            step(1)
    return found
