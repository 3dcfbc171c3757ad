"""What a user calls to search on the measured model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.steps import measure as measuring
from mpsearch.steps.allocate import allocate
from mpsearch.steps.devices import device_for
from mpsearch.steps.limits import require_budgets
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.progress import silent
from mpsearch.steps.request import DEFAULT_ESTIMATOR
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import open_session
from mpsearch.steps.supernet import DEFAULT_MOST
from mpsearch.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from torch import nn

    from mpsearch.report.search_front import SearchFront
    from mpsearch.steps.found import Found
    from mpsearch.steps.supernet import Supernet, SupernetResult


def search(budget: str | Iterable[str], model: str | nn.Module | None = None, *,
           plan: SearchPlan | None = None, estimator: str = DEFAULT_ESTIMATOR, verify: bool = True,
           device: str | None = None, workspace: str = DEFAULT, progress: ProgressBar = silent,
           **options: Any) -> Found:
    """Search within *budget* for the policy of least measured loss, beginning with `allocate`'s.

    *plan* says how many trials on how many samples. With *verify* the answer is compared with what
    the search began with, on samples that it has not seen. All else is as in `mpsearch.allocate`.

    Raises:
        BadInput: anything about the inputs that cannot be used.
        Infeasible: the budget is out of reach.
    """
    from mpsearch.steps.found import find

    plan = _reachable(plan)
    budgets = [Budget.parse(text) for text in ([budget] if isinstance(budget, str) else budget)]
    require_budgets(budgets)
    device = device_for(budgets, device, Workspace(workspace))
    session = open_session(model, Workspace(workspace), options)
    measured = measuring.measure(session, [estimator], progress, samples=True, device=device)
    return find(session, allocate(measured, estimator, budgets), plan, progress,
                verify=verify)


def search_front(objectives: Sequence[str] = ("loss", "size"),
                 model: str | nn.Module | None = None, *, plan: SearchPlan | None = None,
                 estimator: str = DEFAULT_ESTIMATOR, verify: bool = True,
                 device: str | None = None, workspace: str = DEFAULT,
                 progress: ProgressBar = silent, **options: Any) -> SearchFront:
    """Search for the policies that no other one beats in all *objectives*.

    They are ``loss`` or ``accuracy``, both measured, and any of ``size``, ``bops`` and ``latency``
    (of *device*). The search begins with the exact front and every uniform policy. With *verify*
    every point of the front is measured once more, on samples that the search has not seen.

    Raises:
        BadInput: anything about the inputs that cannot be used.
    """
    from mpsearch.steps.search_front import search_front as searched

    plan = _reachable(plan)
    session = open_session(model, Workspace(workspace), options)
    measured = measuring.measure(session, [estimator], progress, samples=True, device=device)
    return searched(session, measured, estimator, objectives, plan=plan, progress=progress,
                    verify=verify)


def search_supernet(supernet: Supernet, budget: str | Iterable[str], *, most: int = DEFAULT_MOST,
                    estimator: str = DEFAULT_ESTIMATOR, allocator: str = "ilp",
                    device: str | None = None, workspace: str = DEFAULT,
                    progress: ProgressBar = silent, **options: Any) -> SupernetResult:
    """The network of *supernet*, and the policy for it, that lose least within *budget*.

    *supernet* has two methods: ``choices()`` gives the options of every choice by its name, the
    first of each that of the whole network; ``with_choices({name: option})`` makes a network. At
    most *most* networks are tried. *budget* is as for `mpsearch.allocate`, but not in bits a
    weight; *options* are those of `mpsearch.measure`.

    Raises:
        BadInput: anything about the supernet, the budget or the data that cannot be used.
        Infeasible: no network that was tried meets the budget.
    """
    from mpsearch.steps.supernet import SupernetPlan
    from mpsearch.steps.supernet import search as searched

    budgets = [Budget.parse(text) for text in ([budget] if isinstance(budget, str) else budget)]
    require_budgets(budgets)
    plugins.require("allocator", allocator)
    plan = SupernetPlan(budgets=tuple(budgets), allocator=allocator, device=device, most=most,
                        estimator=plugins.canonical("estimator", estimator))
    return searched(supernet, plan, workspace, options, progress)


def _reachable(plan: SearchPlan | None) -> SearchPlan:
    """*plan*, whose storage was opened: before anything is measured, not after."""
    from mpsearch.nas.storage import storage_of

    plan = plan or SearchPlan()
    if plan.storage is not None:
        storage_of(plan.storage)
    return plan
