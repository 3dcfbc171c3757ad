"""Scores, policies within budgets, and fronts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy
from mpsearch.steps import allocate as allocating
from mpsearch.steps import measure as measuring
from mpsearch.steps.devices import HOST, device_for
from mpsearch.steps.limits import require_budgets, rows
from mpsearch.steps.measure import Measured, ProgressBar
from mpsearch.steps.objective import DEFAULT_OBJECTIVE, ROBUST, require_objective
from mpsearch.steps.policy import make_policy
from mpsearch.steps.progress import silent
from mpsearch.steps.request import (
    DEFAULT_ESTIMATOR,
    DEFAULT_POLICIES,
    require_policies,
)
from mpsearch.steps.session import Session, open_session
from mpsearch.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from torch import nn

    from mpsearch.report.front import Front
    from mpsearch.report.surface import Surface
    from mpsearch.steps.fronts import FrontPlan
    from mpsearch.steps.tolerance import Wanted
    from mpsearch.steps.verify import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answered budget: the policy, how it was found, how it was verified, and the front.

    *surface* is the front of two costs where budgets limit two.
    """

    policy: Policy
    allocation: allocating.Allocation
    verification: Verification | None = None
    front: Front | None = None
    surface: Surface | None = None


def measure(model: str | nn.Module | None = None, *, estimators: Sequence[str] = (
            DEFAULT_ESTIMATOR,), workspace: str = DEFAULT, progress: ProgressBar = silent,
            **options: Any) -> Measured:
    """Score every layer of *model* under every scheme of the space, into *workspace*.

    *model* is a name as on the command line, or a module; without one the embedded model is
    used. *options* are those of `Request` (``weights``, ``data``, ``space``,
    ``calibration_samples``, ``seed``, …); with a module, ``data`` may be a list of batches. What
    the workspace holds is not measured again.

    Raises:
        BadInput: anything about the model, data or space that cannot be used, or no estimator.
    """
    if not estimators:
        raise BadInput("name at least one estimator, such as kl_probe: there is nothing to measure")
    return measuring.measure(open_session(model, Workspace(workspace), options), estimators,
                             progress)


def allocate(budget: str | Iterable[str] = (), model: str | nn.Module | None = None, *,
             tolerance: str | None = None, minimise: str = "size", judge: str = "calibration",
             estimator: str = DEFAULT_ESTIMATOR, allocator: str = "ilp",
             objective: str = DEFAULT_OBJECTIVE, verify: bool = True, keep: bool = False,
             calibration_policies: int = DEFAULT_POLICIES, device: str | None = None,
             workspace: str = DEFAULT, progress: ProgressBar = silent,
             **options: Any) -> Result:
    """Find the policy of least predicted loss within *budget*, and check it against uniform.

    *budget* is ``"4.5bpw"``, ``"12MiB"``, ``"5GBOPs"``, ``"8ms"``, ``"3mJ"``,
    ``"2MiB-activations"``, or several of them. A latency counts on *device*: a table that `profile`
    measured or imported, by default that of this machine, or a profile that predicts one
    (``"zen5"``; ``"host(batch=8,threads=2)"``). With a *tolerance* (``"0.01"`` or ``"1%"`` of
    top-1, ``"0.05kl"`` nats) it is instead the policy of least *minimise* (``"size"``, ``"bops"``,
    ``"latency"`` or ``"energy"``) whose loss, measured on the *judge* samples, stays within it;
    budgets still hold. *objective* is ``"additive"``, ``"interactions"`` (scores that know them) or
    ``"robust"`` (against the noise of the scores). With *verify* the policy and every uniform one
    of the same budget run on held-out data; a uniform one that is better beyond noise is returned
    instead, unless *keep*. Before that, *calibration_policies* of the front run on the calibration
    data, so that the policy says what KL and accuracy loss its score stands for; 0 does without.
    *model* and *options* are those of `measure`.

    Raises:
        BadInput: anything about the inputs that cannot be used.
        Infeasible: the budget or tolerance is out of reach; the message names what is not.
    """
    wanted = _wanted(tolerance, minimise, judge, objective)
    budgets = _budgets(budget, needed=wanted is None)
    require_policies(calibration_policies)
    require_objective(objective)
    estimator = plugins.canonical("estimator", estimator)
    plugins.require("allocator", allocator)
    place = Workspace(workspace)
    device = device_for(budgets, device or _needed(wanted), place)
    session = open_session(model, place, options)
    if verify or wanted:
        measuring.require_data(session, [estimator])
    measured = measuring.measure(session, [estimator], progress, samples=objective == ROBUST,
                                 device=device,
                                 check=lambda known: _require_together(budgets, known))
    allocation = (
        allocating.allocate(measured, estimator, budgets, allocator, objective)
        if wanted is None else _tolerated(session, measured, estimator, budgets, wanted,
                                          allocator=allocator, progress=progress))
    if not verify:
        return Result(policy=make_policy(session.request, allocation), allocation=allocation)
    return _verified(session, allocation, progress, allocator=allocator, keep=keep,
                     policies=calibration_policies)


def _budgets(texts: str | Iterable[str], *, needed: bool) -> list[Budget]:
    budgets = [Budget.parse(text) for text in ([texts] if isinstance(texts, str) else texts)]
    require_budgets(budgets, needed=needed)
    return budgets


def _needed(wanted: Wanted | None) -> str | None:
    """The device on which a tolerance needs times, where none is named."""
    return HOST if wanted is not None and wanted.minimise == "latency" else None


def _tolerated(session: Session, measured: Measured, estimator: str, budgets: Sequence[Budget],
               wanted: Wanted, *, allocator: str, progress: ProgressBar) -> allocating.Allocation:
    from mpsearch.steps.tolerance import tolerate

    return tolerate(session, measured, estimator, budgets, wanted, allocator=allocator,
                    progress=progress)


def _wanted(tolerance: str | None, minimise: str, judge: str, objective: str) -> Wanted | None:
    if tolerance is None:
        return None
    from mpsearch.core.tolerance import Tolerance
    from mpsearch.steps.tolerance import Wanted

    wanted = Wanted(tolerance=Tolerance.parse(tolerance), minimise=minimise, judge=judge)
    if objective != DEFAULT_OBJECTIVE:
        require_objective(objective)
        raise BadInput(f"a tolerance is answered with the {DEFAULT_OBJECTIVE} objective: give a "
                       f"budget for '{objective}'")
    return wanted


def _require_together(budgets: Sequence[Budget], known: Measured) -> None:
    limited = rows(budgets, known)
    if len(limited) > 1:  # one alone was held against its floor
        from mpsearch.steps.relaxed import require_together

        require_together(limited)


def _verified(session: Session, allocation: allocating.Allocation, progress: ProgressBar, *,
              allocator: str, keep: bool, policies: int) -> Result:
    """The answer with everything that running policies says about it."""
    from mpsearch.steps.coupled import couple
    from mpsearch.steps.curve import Curve
    from mpsearch.steps.fronts import front_of
    from mpsearch.steps.prediction import correct
    from mpsearch.steps.surfaces import surface_of
    from mpsearch.steps.verify import verify

    allocation = couple(session, allocation, progress)
    curve = Curve(measured=allocation.measured, estimator=allocation.estimator,
                  allocator=allocator, workspace=session.workspace)
    correction = correct(session, curve, progress, policies) if policies else None
    verification = verify(session, allocation, progress, keep=keep)
    return Result(
        policy=make_policy(session.request, allocation, verification, correction),
        allocation=allocation, verification=verification,
        front=front_of(session, curve, verification),
        surface=surface_of(allocation, session.request.model))


def pareto(model: str | nn.Module | None = None, *, plan: FrontPlan | None = None,
           estimator: str = DEFAULT_ESTIMATOR, allocator: str = "ilp", device: str | None = None,
           workspace: str = DEFAULT, progress: ProgressBar = silent, **options: Any) -> Front:
    """Sweep the budget from the floor of the space to its ceiling, and measure a few points.

    *model* and *options* are those of `measure`; *plan* says how many budgets are solved and
    measured, and over what. A front over latency is of *device*, as `allocate` takes it.
    """
    from mpsearch.steps.curve import Curve
    from mpsearch.steps.fronts import FrontPlan, sweep

    plugins.require("allocator", allocator)
    estimator = plugins.canonical("estimator", estimator)
    plan, place = plan or FrontPlan(), Workspace(workspace)
    if plan.over == "latency":
        device = device or HOST
    device = device_for(plan.budgets, device, place)
    session = open_session(model, place, options)
    measured = measuring.measure(session, [estimator], progress, device=device)
    curve = Curve(measured=measured, estimator=estimator, allocator=allocator,
                  workspace=session.workspace, over=plan.over)
    return sweep(session, curve, plan, progress)
