"""What a search found, judged on held-out samples and written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mpsearch.core.types import Policy
from mpsearch.nas.importance import shares
from mpsearch.nas.record import Record, arrays
from mpsearch.report.search import SearchReport, TrialPoint
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import left_out, runnable, schemes_of
from mpsearch.steps.compare import Comparison, compare
from mpsearch.steps.landscapes import landscape_of
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import Measurement, measure_policies
from mpsearch.steps.policy import make_policy
from mpsearch.steps.search import Searched, search
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import Session

BEST = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found: the policy, every trial, the held-out comparison, and a report."""

    policy: Policy
    searched: Searched
    judged: Judged | None
    report: SearchReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The best choice, the start and uniform ones on samples that nobody has seen.

    *against* compares the best choice with each of the others: its KL less theirs. These samples
    choose nothing, so the comparison with the *start* needs no allowance for the trials.
    """

    measured: Mapping[str, Measurement]
    against: Mapping[str, Comparison]
    start: str

    @property
    def verdict(self) -> str:
        """The best choice beside the start, in words."""
        against = self.against.get(self.start)
        return "the same policy" if against is None else against.words


def find(session: Session, allocation: Allocation, plan: SearchPlan, progress: ProgressBar,
         *, verify: bool) -> Found:
    """Search from *allocation* on, and judge what was found unless it is not to be verified.

    Raises:
        BadInput: a storage, study or data that cannot be used.
    """
    searched = search(session, allocation, plan, progress)
    judged = judge(session, searched, progress) if verify else None
    return Found(policy=policy_of(session, searched, judged), searched=searched, judged=judged,
                 report=report_of(session, searched))


def judge(session: Session, searched: Searched, progress: ProgressBar) -> Judged:
    """Measure what was found, and what it began with, on held-out samples."""
    measured = searched.allocation.measured
    chosen = {BEST: searched.best.choice}
    chosen |= {each.origin: each.choice for each in searched.begun if each.choice not in
               chosen.values()}
    found = measure_policies(
        session, {label: runnable(measured, choice) for label, choice in chosen.items()}, progress)
    return Judged(measured=found, start=searched.start.origin, against={
        label: compare(found[BEST].kl, each.kl) for label, each in found.items() if label != BEST})


def policy_of(session: Session, searched: Searched, judged: Judged | None) -> Policy:
    """The policy of the best choice, with how it was found."""
    made = make_policy(session.request, searched.allocation)
    if judged is not None:
        evaluation = judged.measured[BEST].evaluation
        made = replace(made, evaluation=evaluation,
                       totals=replace(made.totals, measured_loss=evaluation.kl))
    return replace(made, provenance={**made.provenance, "search": _about(searched, judged)})


def report_of(session: Session, searched: Searched) -> SearchReport:
    """Everything that tables and the picture show."""
    allocation, against = searched.allocation, searched.against
    landscape = landscape_of(allocation.problem, allocation.losses,
                             allocation.measured.record.space)
    choices, losses = arrays(searched.records)
    return SearchReport(
        model=session.request.model, seed=session.request.seed, sampler=searched.plan.sampler,
        budgets=tuple(dict.fromkeys(str(row.budget) for row in allocation.budgets)),
        samples=searched.samples, shared=searched.shared, failures=searched.failures,
        trials=tuple(map(_point, searched.records)), start=_point(searched.start),
        best=_point(searched.best), difference=against.difference, low=against.low,
        high=against.high, verdict=against.words, candidates=searched.candidates,
        interrupted=searched.interrupted,
        left_out=left_out(schemes_of(allocation.measured.record.space, searched.best.choice)),
        importance=shares(landscape, choices, losses, searched.best.choice)
        if len(choices) > 2 else {})  # noqa: PLR2004 - what a fit of scores needs


def _about(searched: Searched, judged: Judged | None) -> dict[str, Any]:
    plan, against = searched.plan, searched.against
    return {
        "sampler": plan.sampler, "trials": len(searched.records), "race": plan.race,
        "samples": searched.samples, "samples_of_scores": searched.shared,
        "trial": searched.best.ticket, "proposed_by": searched.best.origin,
        "loss": searched.best.loss, "start_loss": searched.start.loss,
        "difference_95": [against.low, against.high], "candidates": searched.candidates,
        "verdict": against.words, "held_out_verdict": judged and judged.verdict,
        "winner": _won(searched, judged),
        "held_out": {} if judged is None else {
            label: {"kl": each.evaluation.kl, **_line(judged.against.get(label))}
            for label, each in judged.measured.items()}}


def _won(searched: Searched, judged: Judged | None) -> bool:
    """Whether the best choice beats the start beyond noise wherever the two were compared."""
    held_out = judged.against.get(judged.start) if judged else searched.against
    return all(each is not None and each.verdict == "better"
               for each in (searched.against, held_out))


def _line(against: Comparison | None) -> dict[str, Any]:
    return {} if against is None else {"search_less_this_95": [against.low, against.high],
                                       "search_is": against.words}


def _point(record: Record) -> TrialPoint:
    return TrialPoint(ticket=record.ticket, origin=record.origin, state=record.state.name,
                      loss=record.loss if record.samples else float("nan"),
                      samples=len(record.samples))
