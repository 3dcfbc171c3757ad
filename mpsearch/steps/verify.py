"""Hold a chosen policy against every uniform one of the same budget, on held-out data."""

from __future__ import annotations

from dataclasses import dataclass

from mpsearch.core.types import Totals
from mpsearch.core.version import version_of
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import Choice, runnable, totals_of, uniform_choices
from mpsearch.steps.compare import Comparison, compare
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import Measurement, measure_policies
from mpsearch.steps.session import Session
from mpsearch.workspace import Workspace, digest

ALLOCATED = "allocated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy that was run; *against* compares its KL with the allocated one's."""

    label: str
    choice: Choice
    totals: Totals
    measurement: Measurement
    against: Comparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The allocated policy, the uniform ones of the same budget, and which one to return.

    *winner* is a uniform policy only if its KL is lower beyond noise and the user did not ask to
    keep the allocated one.
    """

    allocated: Candidate
    uniform: tuple[Candidate, ...]
    winner: Candidate

    @property
    def better(self) -> tuple[Candidate, ...]:
        """Uniform policies that measured better than the allocated one beyond noise."""
        return tuple(candidate for candidate in self.uniform
                     if candidate.against and candidate.against.verdict == "better")


def verify(session: Session, allocation: Allocation, progress: ProgressBar, *,
           keep: bool = False) -> Verification:
    """Measure the allocated policy and all uniform policies within its budgets.

    Raises:
        BadInput: there is no data to measure on.
    """
    uniform = uniform_choices(allocation.measured.record.space)
    choices = {ALLOCATED: allocation.selection.choice,
               **{label: choice for label, choice in uniform.items() if allocation.meets(choice)}}
    policies = {label: runnable(allocation.measured, choice) for label, choice in choices.items()}
    measurements = measure_policies(session, policies, progress)
    base = measurements[ALLOCATED]
    made = {label: Candidate(
        label=label, choice=choice, measurement=measurements[label],
        totals=totals_of(allocation.measured, choice, allocation.losses),
        against=None if label == ALLOCATED else _compared(
            session.workspace, measurements[label].kl, base.kl))
        for label, choice in choices.items()}
    allocated = made.pop(ALLOCATED)
    found = Verification(allocated=allocated, uniform=tuple(made.values()), winner=allocated)
    if keep or not found.better:
        return found
    best = min(found.better, key=lambda candidate: candidate.measurement.evaluation.kl)
    return Verification(allocated=allocated, uniform=found.uniform, winner=best)


def _compared(workspace: Workspace, this: tuple[float, ...], that: tuple[float, ...]) -> Comparison:
    """What `compare` says of these, taken from the *workspace* where it was said before."""
    key = digest({"version": version_of("mpsearch"), "this": this, "that": that})
    known = workspace.load("comparisons", key, Comparison)
    if known is None:
        known = compare(this, that)
        workspace.save("comparisons", key, known)
    return known
