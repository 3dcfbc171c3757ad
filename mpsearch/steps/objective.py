"""What is minimised: the sum of the scores, that with interactions, or a total that is robust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable

DEFAULT_OBJECTIVE, INTERACTIONS, ROBUST = "additive", "interactions", "robust"
OBJECTIVES = (DEFAULT_OBJECTIVE, INTERACTIONS, ROBUST)
COUPLED = "coupled"


def require_objective(name: str) -> None:
    """Check the *name* of an objective.

    Raises:
        BadInput: it is none of them.
    """
    if name not in OBJECTIVES:
        raise BadInput(f"there is no objective '{name}': use one of {', '.join(OBJECTIVES)}")


def minimise(problem: Problem, losses: ScoreTable, *, objective: str,
             allocator: str) -> tuple[Selection, dict[str, Any]]:
    """The choice of the additive *problem* of *losses*, and what to say of how it was made.

    With ``interactions`` the table's factor is added and solved by `Coupled`; ``robust`` adds so
    many standard errors of the total as cross-validation over the samples chooses.

    Raises:
        BadInput: the scores have no interactions, or none of single samples are known.
        Infeasible: no choice keeps to the limits.
    """
    if objective == INTERACTIONS:
        return _interacting(problem, losses)
    if objective == ROBUST:
        return _robust(problem, losses)
    solve = plugins.load("allocator", allocator)()
    return solve(problem), {"name": allocator, **asdict(solve)}


def _interacting(problem: Problem, losses: ScoreTable) -> tuple[Selection, dict[str, Any]]:
    if not losses.factor:
        raise BadInput(f"the scores of {losses.metric} have no interactions: use logit_gram")
    solve = plugins.load("allocator", COUPLED)()
    selection = solve(replace(problem, factor=np.array(losses.factor)))
    return selection, {"name": COUPLED, **asdict(solve), "objective_kind": INTERACTIONS}


def _robust(problem: Problem, losses: ScoreTable) -> tuple[Selection, dict[str, Any]]:
    from mpsearch.allocation.robust import robust

    if not losses.samples:
        raise BadInput(f"{losses.metric} keeps no scores of single samples, which a robust choice "
                       "needs: use kl_probe or fisher, or measure again if it was an earlier "
                       "version that measured")
    found = robust(problem, _columns(losses.samples))
    return found.selection, {
        "name": COUPLED, "objective_kind": ROBUST, "kappa": found.kappa,
        "expected_optimism": found.optimism,
        "held_out": [{"kappa": kappa, "loss": loss} for kappa, loss in found.curve]}


def _columns(samples: Sequence[Sequence[float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(samples, dtype=np.float64)
