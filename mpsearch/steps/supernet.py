"""A user's supernet: which of its sub-networks, with which bits, loses least within a budget."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible
from mpsearch.core.types import Policy
from mpsearch.steps.allocate import allocate
from mpsearch.steps.devices import device_for
from mpsearch.steps.measure import ProgressBar, measure
from mpsearch.steps.policy import make_policy
from mpsearch.steps.request import DEFAULT_ESTIMATOR
from mpsearch.steps.session import Session, open_session
from mpsearch.workspace import Workspace, digest

if TYPE_CHECKING:
    from torch import nn

    from mpsearch.sources.batch import Batches

DEFAULT_MOST = 16


class Supernet(Protocol):
    """Networks that share weights, told apart by choices.

    The first option of every choice makes the whole network, against which the others are held.
    """

    def choices(self) -> Mapping[str, Sequence[Any]]:
        """The options of every choice, by its name."""
        ...

    def with_choices(self, chosen: Mapping[str, Any]) -> nn.Module:
        """The network of these options, one for each name. It may share weights with others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubNetwork:
    """One network of a supernet, and the policy that it was given.

    *kl* is the mean KL(whole network in float || this one under its policy) on the calibration
    samples, *held_out* the same on held-out ones, where it was run on them. A network without a
    policy does not meet the budgets, and *reason* says why.
    """

    chosen: dict[str, Any]
    policy: Policy | None = None
    kl: float | None = None
    held_out: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupernetResult:
    """The *best* network that was tried, and all of them; *possible* is how many there are."""

    best: SubNetwork
    tried: tuple[SubNetwork, ...]
    possible: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupernetPlan:
    """How a supernet is searched: *most* networks are tried, each scored and allocated by these.

    Raises:
        BadInput: fewer than one network.
    """

    budgets: tuple[Budget, ...]
    estimator: str = DEFAULT_ESTIMATOR
    allocator: str = "ilp"
    device: str | None = None
    most: int = DEFAULT_MOST

    def __post_init__(self) -> None:
        if self.most < 1:
            raise BadInput(f"at least one network must be tried, not {self.most}")
        for budget in self.budgets:
            if budget.metric == "bits_per_weight":
                raise BadInput(f"{budget} is another size for every network of a supernet: give "
                               "the size of the file, such as 12MiB, or another budget")


def search(supernet: Supernet, plan: SupernetPlan, workspace: str, options: Mapping[str, Any],
           progress: ProgressBar) -> SupernetResult:
    """Allocate every network of *supernet*, or so many of them, and compare what they lose.

    A network's scores are against itself in float. Between networks decides what each, under its
    policy, loses against the whole one on the calibration samples; only the best runs on held-out
    ones. Where there are more than the plan's *most*, those tried are the whole one and others
    drawn by the seed.

    Source: the joint search for a sub-network and its bits of SimQ-NAS (2023), here with an
    allocator for the bits and without a predictor between networks.

    Raises:
        BadInput: choices without options, or anything about a network or the data.
        Infeasible: no network that was tried meets the budgets.
    """
    possible = _possible(supernet)
    given = options.get("data")
    named = given is None or isinstance(given, str | Mapping | tuple)
    run = _Search(supernet=supernet, plan=plan, workspace=workspace, progress=progress,
                  options={**options, "data": given if named else list(given or ())})
    session = run.session(possible[0])
    calibration = _Judge(session, session.calibrated)
    evaluation = _Judge(session, session.evaluation)
    drawn = _drawn(possible, plan.most, session.request.seed)
    tried = [run.tried(chosen, calibration) for chosen in drawn]
    found = [(each.kl, number) for number, each in enumerate(tried) if each.kl is not None]
    if not found:
        raise Infeasible(f"none of the {len(tried)} networks that were tried meets the budget "
                         f"{', '.join(map(str, plan.budgets))}: {tried[0].reason}")
    best = tried[min(found)[1]]
    return SupernetResult(tried=tuple(tried), possible=len(possible), best=replace(
        best, held_out=evaluation(run.session(best.chosen), best.policy)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What is the same for every network."""

    supernet: Supernet
    plan: SupernetPlan
    workspace: str
    options: Mapping[str, Any]
    progress: ProgressBar

    def session(self, chosen: Mapping[str, Any]) -> Session:
        """A session on one network, with what was measured of it in a folder of its own.

        Networks that differ in attributes alone could not be told apart by their weights.
        """
        place = Path(self.workspace) / f"supernet-{digest(repr(sorted(chosen.items())))}"
        return open_session(self.supernet.with_choices(chosen), Workspace(str(place)),
                            self.options)

    def tried(self, chosen: dict[str, Any], judge: _Judge) -> SubNetwork:
        """One network with the best policy for it, and what it loses."""
        plan, session = self.plan, self.session(chosen)
        device = device_for(plan.budgets, plan.device, session.workspace)
        measured = measure(session, [plan.estimator], self.progress, device=device)
        try:
            allocation = allocate(measured, plan.estimator, plan.budgets, plan.allocator)
        except Infeasible as error:
            return SubNetwork(chosen=chosen, reason=str(error))
        policy = make_policy(session.request, allocation)
        policy = replace(policy, provenance={
            **policy.provenance, "choices": {name: repr(each) for name, each in chosen.items()}})
        return SubNetwork(chosen=chosen, policy=policy, kl=judge(session, policy))


class _Judge:
    """Batches with the outputs of the whole network, taken before any other is made."""

    def __init__(self, session: Session, batches: Batches) -> None:
        import torch

        self._batches = batches
        with torch.no_grad():
            self._references = [session.captured.program.run(batch.args) for batch in batches]

    def __call__(self, session: Session, policy: Policy | None) -> float:
        """The mean KL over samples of the session's network under *policy*."""
        import torch

        from mpsearch import metrics

        assert policy is not None  # noqa: S101 - only networks with one are judged
        captured = session.captured
        module = plugins.make("backend", "simulated")(
            captured.program, captured.fake, policy.layers, policy.activations)
        with torch.no_grad():
            rows = [metrics.kl(reference, module(*batch.args)) for batch, reference in zip(
                self._batches, self._references, strict=True)]
        return float(torch.cat(rows).mean())


def _possible(supernet: Supernet) -> list[dict[str, Any]]:
    """Every combination of options, the whole network first."""
    options = {name: tuple(values) for name, values in supernet.choices().items()}
    if not options or not all(options.values()):
        raise BadInput("the supernet's choices() must name at least one choice, each with options")
    return [dict(zip(options, row, strict=True)) for row in product(*options.values())]


def _drawn(possible: list[dict[str, Any]], most: int, seed: int) -> list[dict[str, Any]]:
    """The whole network and as many others as may be tried, in their order."""
    if len(possible) <= most:
        return possible
    numbers = random.Random(seed).sample(range(1, len(possible)), most - 1)  # noqa: S311 - no secret
    return [possible[number] for number in (0, *sorted(numbers))]
