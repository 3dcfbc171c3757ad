"""Why one layer did not get another scheme: the best policy with that pin against the best one."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput, Infeasible
from mpsearch.core.types import Policy, Scheme, SearchSpace
from mpsearch.report.prices import Pin
from mpsearch.steps.choice import schemes_of
from mpsearch.steps.relaxed import EXACT, advice
from mpsearch.steps.saved import Saved
from mpsearch.workspace import Workspace


def why_not(policy: Policy, workspace: Workspace, text: str) -> Pin:
    """What it costs to pin a layer to a scheme, written ``layer=W8`` or ``layer=W8s/channel``.

    Both problems, with the pin and without, are solved exactly within the policy's budgets, so
    that what the other layers give up for the pin, or gain by it, is counted.

    Raises:
        BadInput: no such layer or scheme, or the workspace lacks the policy's scores.
        Infeasible: no policy with that pin keeps to the budgets; the message says what would.
    """
    saved = Saved.of(policy, workspace)
    if saved is None:
        raise BadInput(f"{workspace.root} does not hold the scores this policy was made from: give "
                       "--workspace")
    space = saved.measured.record.space
    group, candidate = _wanted(space, text)
    solve, problem = plugins.load("allocator", EXACT)(), saved.problem
    best: Selection = solve(problem)
    pinned, choice = _pinned(saved, problem, group, candidate, text)
    before, after = schemes_of(space, best.choice), schemes_of(space, choice)
    mine = space.groups[group].layers
    return Pin(
        layer=text.rpartition("=")[0], scheme=after[text.rpartition("=")[0]],
        unit=saved.losses.unit, best=best.objective, pinned=pinned.objective,
        here=float(problem.losses[group][candidate] - problem.losses[group][best.choice[group]]),
        proven=best.status == pinned.status == "optimal",
        changes={name: (scheme, after[name]) for name, scheme in before.items()
                 if name not in mine and after[name] != scheme})


def _pinned(saved: Saved, problem: Problem, group: int, candidate: int,
            text: str) -> tuple[Selection, tuple[int, ...]]:
    """The best answer with the pin, and its choice in terms of the whole menu."""
    narrowed = problem.pin(group, candidate)
    try:
        found: Selection = plugins.load("allocator", EXACT)()(narrowed.problem)
    except Infeasible as error:
        raise Infeasible(f"no policy with {text} meets {' and '.join(map(str, _texts(saved)))}: "
                         f"raise {advice(narrowed.problem, saved.rows)}") from error
    return found, narrowed.expand(found.choice)


def _texts(saved: Saved) -> Sequence[str]:
    return [str(row.budget) for row in saved.rows]


def _wanted(space: SearchSpace, text: str) -> tuple[int, int]:
    """The group and candidate that *text* names."""
    layer, equals, wanted = text.rpartition("=")
    kinds = {each.name: each.kind for each in space.layers}
    if not equals or layer not in kinds:
        raise BadInput(f"cannot read '{text}': write layer=scheme with the exact name of a layer, "
                       f"such as {space.layers[-1].name}=W8")
    place = next(i for i, group in enumerate(space.groups) if layer in group.layers)
    schemes = [scheme.for_kind(kinds[layer]) for scheme in space.groups[place].schemes]
    found = [k for k, scheme in enumerate(schemes) if wanted in _names(scheme)]
    if len(found) != 1:
        known = ", ".join(dict.fromkeys(map(str, schemes)))
        raise BadInput(f"'{wanted}' is {'several schemes' if found else 'no scheme'} of {layer}: "
                       f"choose one of {known}")
    return place, found[0]


def _names(scheme: Scheme) -> tuple[str, str]:
    return str(scheme), scheme.widths
