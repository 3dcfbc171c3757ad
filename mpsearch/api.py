"""What a user calls. Each function is one arrow of the flow from a model to a policy that runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Policy
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
    Request,
    require_policies,
)
from mpsearch.steps.session import OBJECT, Session, open_session
from mpsearch.steps.supernet import DEFAULT_MOST
from mpsearch.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mpsearch.core.machine import MachineTable
    from mpsearch.packed.writing import Written
    from mpsearch.report.front import Front
    from mpsearch.report.surface import Surface
    from mpsearch.steps.fronts import FrontPlan
    from mpsearch.steps.pack import Packing
    from mpsearch.steps.profile import Profile, ProfilePlan
    from mpsearch.steps.supernet import Supernet, SupernetResult
    from mpsearch.steps.tolerance import Wanted
    from mpsearch.steps.unpack import PackedRun
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
    budgets = [Budget.parse(text) for text in ([budget] if isinstance(budget, str) else budget)]
    wanted = _wanted(tolerance, minimise, judge, objective)
    require_budgets(budgets, needed=wanted is None)
    require_policies(calibration_policies)
    require_objective(objective)
    estimator = plugins.canonical("estimator", estimator)
    plugins.require("allocator", allocator)
    if wanted is not None and minimise == "latency":
        device = device or HOST
    device = device_for(budgets, device, Workspace(workspace))
    session = open_session(model, Workspace(workspace), options)
    if verify or wanted:
        measuring.require_data(session, [estimator])
    measured = measuring.measure(session, [estimator], progress, samples=objective == ROBUST,
                                 device=device,
                                 check=lambda known: _require_together(budgets, known))
    if wanted is None:
        allocation = allocating.allocate(measured, estimator, budgets, allocator, objective)
    else:
        from mpsearch.steps.tolerance import tolerate

        allocation = tolerate(session, measured, estimator, budgets, wanted, allocator=allocator,
                              progress=progress)
    if not verify:
        return Result(policy=make_policy(session.request, allocation), allocation=allocation)
    return _verified(session, allocation, progress, allocator=allocator, keep=keep,
                     policies=calibration_policies)


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


def search_supernet(supernet: Supernet, budget: str | Iterable[str], *, most: int = DEFAULT_MOST,
                    estimator: str = DEFAULT_ESTIMATOR, allocator: str = "ilp",
                    device: str | None = None, workspace: str = DEFAULT,
                    progress: ProgressBar = silent, **options: Any) -> SupernetResult:
    """The network of *supernet*, and the policy for it, that lose least within *budget*.

    *supernet* has two methods: ``choices()`` gives the options of every choice by its name, the
    first of each that of the whole network; ``with_choices({name: option})`` makes a network. At
    most *most* networks are tried. *budget* is as for `allocate`, but not in bits a weight;
    *options* are those of `measure`.

    Raises:
        BadInput: anything about the supernet, the budget or the data that cannot be used.
        Infeasible: no network that was tried meets the budget.
    """
    from mpsearch.steps.supernet import SupernetPlan, search

    budgets = [Budget.parse(text) for text in ([budget] if isinstance(budget, str) else budget)]
    require_budgets(budgets)
    plugins.require("allocator", allocator)
    plan = SupernetPlan(budgets=tuple(budgets), allocator=allocator, device=device, most=most,
                        estimator=plugins.canonical("estimator", estimator))
    return search(supernet, plan, workspace, options, progress)


def profile(model: str | nn.Module | None = None, *, plan: ProfilePlan | None = None,
            workspace: str = DEFAULT, progress: ProgressBar = silent, **options: Any) -> Profile:
    """Time every layer under every scheme of the space on this machine, and the rest of the graph.

    *plan* names the provider that runs them, the device's name, batches and threads. *model* and
    *options* are those of `measure`. What was timed on this processor with these versions is not
    timed again.

    Raises:
        BadInput: anything about the model, data, space or plan that cannot be used.
    """
    from mpsearch.steps.profile import ProfilePlan
    from mpsearch.steps.profile import profile as run

    return run(open_session(model, Workspace(workspace), options), plan or ProfilePlan(), progress)


def import_device(path: str, device: str | None = None, *, workspace: str = DEFAULT,
                  ) -> MachineTable:
    """Read a table of times (CSV, as `mpsearch profile --export` writes it) into *workspace*.

    Budgets in milliseconds may then count on it by its name, *device* or else the file's own.

    Raises:
        BadInput: the file is no such table, or its name is that of a shipped device or is no name.
    """
    from mpsearch.core.machine_csv import import_table
    from mpsearch.cost.devices import shipped
    from mpsearch.steps.devices import DeviceRef, save_table

    table = import_table(path, device)
    if table.device in shipped():
        raise BadInput(f"a table cannot go by the name '{table.device}', which is that of a "
                       "shipped device: give another --device")
    if DeviceRef.parse(table.device) != DeviceRef(name=table.device):
        raise BadInput(f"a table cannot go by the name '{table.device}': give a --device without "
                       "settings and outer blanks")
    save_table(Workspace(workspace), table)
    return table


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


def apply(policy: Policy, model: str | nn.Module | None = None, *,
          example: tuple[Tensor, ...] | None = None, backend: str = "simulated",
          **options: Any) -> nn.Module:
    """The model under *policy*, as a module that runs.

    *model* is a name or a module, by default the one the policy names. *example* is a tuple of
    inputs to capture the model with; image models that say their input size need none.

    Raises:
        BadInput: the policy was made for other weights or another model.
        Unsupported: the backend cannot run a scheme of the policy.
    """
    from mpsearch.steps.run import apply_policy

    return apply_policy(policy, _session(policy, model, options), example, backend)


def evaluate(policy: Policy, model: str | nn.Module | None = None, *, backend: str = "simulated",
             workspace: str = DEFAULT, progress: ProgressBar = silent,
             **options: Any) -> Evaluation:
    """Run *policy* on held-out data and compare it with the float model.

    *model*, ``weights`` and ``data`` default to those the policy was made with.

    Raises:
        BadInput: the policy was made for other weights or another model, or there is no data.
    """
    from mpsearch.steps.run import evaluate_policy

    return evaluate_policy(policy, _session(policy, model, options, workspace), progress, backend)


def pack(policy: Policy, path: str, model: str | nn.Module | None = None, *,
         example: tuple[Tensor, ...] | None = None, **options: Any) -> Written:
    """Write the model under *policy* to one safetensors file, which runs without the float model.

    *model*, *example* and *options* are those of `apply`. The same policy gives the same bytes,
    as many as its totals state.

    Raises:
        BadInput: the policy was made for other weights or another model, or the place cannot be
            written.
        Unsupported: the model has a tensor that a safetensors file cannot hold.
    """
    from mpsearch.steps.pack import pack as write

    return write(policy, _session(policy, model, options), path, example)


def evaluate_and_pack(policy: Policy, path: str, model: str | nn.Module | None = None, *,
                      backend: str = "simulated", workspace: str = DEFAULT,
                      progress: ProgressBar = silent, **options: Any) -> Packing:
    """What `evaluate` does, where there is data, and then what `pack` does.

    Raises:
        BadInput: what either raises.
        Unsupported: what either raises.
    """
    from mpsearch.steps.pack import evaluate_and_pack as both

    return both(policy, _session(policy, model, options, workspace), path, backend, progress)


def unpack(path: str, model: str | nn.Module | None = None, *,
           example: tuple[Tensor, ...] | None = None, backend: str = "simulated",
           **options: Any) -> nn.Module:
    """The model in a file that `pack` wrote, as a module that runs under its policy.

    *model* gives the architecture: a name or a module, of which a copy is filled. Timm models and
    the embedded one need none. Nothing else is read: no float weights, no calibration data.

    Raises:
        BadInput: the file is damaged, of a later version, or does not fit the architecture.
    """
    from mpsearch.steps.run import apply_policy
    from mpsearch.steps.unpack import open_packed

    session = open_packed(path, model, options, example)
    return apply_policy(session.packed.policy, session, None, backend)


def run_packed(path: str, model: str | nn.Module | None = None, *, backend: str = "simulated",
               progress: ProgressBar = silent, **options: Any) -> PackedRun:
    """Run the model in a file that `pack` wrote, on held-out data where there is any.

    *model* is that of `unpack`; ``data``, ``evaluation_samples`` and ``batch_size`` are options.

    Raises:
        BadInput: what `unpack` raises, or data that cannot be used.
    """
    from mpsearch.steps.unpack import run

    return run(path, model, options, backend, progress)


_REMEMBERED = ("weights", "data", "seed", "calibration_samples", "evaluation_samples",
               "batch_size")


def _session(policy: Policy, model: str | nn.Module | None, options: dict[str, Any],
             workspace: str = DEFAULT) -> Session:
    """A session on the policy's own model and data, where the caller names no others."""
    made_with = policy.provenance
    if model is None and policy.model.source.startswith(OBJECT):
        raise BadInput(f"this policy was made from a Python {policy.model.source}: give the model")
    given = {name: made_with[name] for name in _REMEMBERED if made_with.get(name) is not None}
    if model is not None and model != policy.model.source:
        given = {}
    return open_session(policy.model.source if model is None else model, Workspace(workspace),
                        given | {name: value for name, value in options.items()
                                 if value is not None})


def __getattr__(name: str) -> Any:
    if name == "FrontPlan":  # only `pareto` needs it
        from mpsearch.steps.fronts import FrontPlan

        return FrontPlan
    if name == "ProfilePlan":
        from mpsearch.steps.profile import ProfilePlan

        return ProfilePlan
    raise AttributeError(f"module 'mpsearch.api' has no attribute '{name}'")


__all__ = ["FrontPlan", "ProfilePlan", "Request", "Result", "allocate", "apply", "evaluate",
           "evaluate_and_pack", "import_device", "measure", "pack", "pareto", "profile",
           "run_packed", "search_supernet", "unpack"]
