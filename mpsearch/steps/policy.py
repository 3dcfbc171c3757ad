"""Write down a decision: the policy of an allocation, with where it came from."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from mpsearch import plugins
from mpsearch.core.types import Policy
from mpsearch.core.version import version_of
from mpsearch.spaces import load_space
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import Choice, ranges_of, schemes_of, totals_of
from mpsearch.steps.request import Request

if TYPE_CHECKING:
    from mpsearch.steps.prediction import Correction
    from mpsearch.steps.verify import Candidate, Verification


def make_policy(request: Request, allocation: Allocation,
                verification: Verification | None = None,
                correction: Correction | None = None) -> Policy:
    """The policy to return: the allocated one, or what won the verification."""
    winner = verification.winner if verification else None
    choice: Choice = winner.choice if winner else allocation.selection.choice
    measured, record = allocation.measured, allocation.measured.record
    schemes = schemes_of(record.space, choice)
    evaluation = winner.measurement.evaluation if winner else None
    totals = totals_of(measured, choice, allocation.losses)
    return Policy(
        model=record.model, layers=schemes, activations=ranges_of(measured, schemes),
        totals=replace(totals, measured_loss=evaluation.kl if evaluation else None),
        evaluation=evaluation, prediction=correction.predict(
            totals.predicted_loss, request.evaluation_samples) if correction else None,
        provenance=_provenance(request, allocation, verification))


def _provenance(request: Request, allocation: Allocation,
                verification: Verification | None) -> dict[str, Any]:
    selection, name = allocation.selection, allocation.estimator
    estimator = plugins.make("estimator", name)
    space = load_space(request.space)
    return {
        **{name: version_of(name) for name in ("mpsearch", "torch", "timm")},
        "study": allocation.measured.key,
        "estimator": {"name": name, **asdict(estimator)},
        "allocator": {**allocation.allocator, "status": selection.status,
                      "objective": selection.objective, "bound": selection.bound,
                      "note": selection.note,
                      "prices": [{"budget": row.budget, "price": row.price, "unit": row.unit,
                                  "slack": row.slack} for row in allocation.prices()]},
        "tolerance": asdict(allocation.tolerated) if allocation.tolerated else None,
        "space": {"name": space.name, "digest": space.digest},
        "budgets": list(dict.fromkeys(str(row.budget) for row in allocation.budgets)),
        **_about_the_run(allocation),
        "data": request.data_spec, "weights": request.weights, "seed": request.seed,
        "calibration_samples": request.calibration_samples,
        "evaluation_samples": request.evaluation_samples, "batch_size": request.batch_size,
        "verification": _verification(verification),
    }


def _about_the_run(allocation: Allocation) -> dict[str, Any]:
    """By what device latency counts, and by what process energy."""
    costing = allocation.measured.costing
    return {"device": costing.machine.about if costing and costing.machine else None,
            "energy": costing.rates.name if costing else None}


def _verification(verification: Verification | None) -> dict[str, Any] | None:
    if verification is None:
        return None
    candidates = (verification.allocated, *verification.uniform)
    return {"returned": verification.winner.label,
            "better_than_allocated": [candidate.label for candidate in verification.better],
            "measured": {candidate.label: _line(candidate) for candidate in candidates}}


def _line(candidate: Candidate) -> dict[str, Any]:
    evaluation = candidate.measurement.evaluation
    line: dict[str, Any] = {
        "bits_per_weight": candidate.totals.bits_per_weight,
        "file_bytes": candidate.totals.file_bytes, "kl": evaluation.kl,
        "kl_stderr": evaluation.kl_stderr, "agreement": evaluation.agreement,
        "top1": evaluation.top1}
    if candidate.against is not None:
        line["kl_difference_95"] = [candidate.against.low, candidate.against.high]
        line["verdict"] = candidate.against.verdict
    return line
