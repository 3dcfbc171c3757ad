"""Why each layer got its bits: its share of the loss, what more would buy, what else was near."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mpsearch.allocation.prices import next_best, prices
from mpsearch.allocation.rows import Row
from mpsearch.core.types import Group, LayerSpec, Policy, Scheme
from mpsearch.report.prices import PriceRow
from mpsearch.report.table import LayerRow
from mpsearch.steps.prices import BITS_PER_KIB, price_rows
from mpsearch.steps.saved import Saved
from mpsearch.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A row a layer, the unit of the loss (empty where nothing is known), and a price a budget."""

    layers: tuple[LayerRow, ...]
    unit: str = ""
    prices: tuple[PriceRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is known about one group's decision."""

    share: float | None = None
    gain: float | None = None
    following: Scheme | None = None
    other: Scheme | None = None
    other_cost: float | None = None


def explain(policy: Policy, workspace: Workspace) -> Explanation:
    """What *workspace* knows about the decisions of *policy*.

    The scores are those the policy was made from; where *workspace* does not hold them the rows
    say only what each layer got.
    """
    saved = Saved.of(policy, workspace)
    if saved is None:
        return Explanation(layers=tuple(LayerRow(name=name, kind=None, weights=0, scheme=scheme)
                                        for name, scheme in policy.layers.items()))
    problem = saved.problem
    found = prices(problem)
    space = saved.measured.record.space
    sizes = saved.measured.costs()["size"].values
    total = policy.totals.predicted_loss
    facts: dict[str, _Facts] = {}
    charges = found.charges(problem)
    for number, (group, chosen) in enumerate(zip(space.groups, saved.chosen, strict=True)):
        if chosen is not None:
            facts[group.layers[0]] = _facts(
                group, chosen, losses=saved.losses.values[number], sizes=sizes[number],
                charges=charges[number], total=total)
    return Explanation(
        layers=tuple(_row(layer, policy, facts.get(layer.name, _Facts()))
                     for layer in space.layers),
        unit=saved.losses.unit,
        prices=price_rows(saved.rows, problem, found, saved.losses.unit, saved.choice))


def _row(layer: LayerSpec, policy: Policy, facts: _Facts) -> LayerRow:
    def own(scheme: Scheme | None) -> Scheme | None:
        return scheme.for_kind(layer.kind) if scheme else None

    return LayerRow(
        name=layer.name, kind=layer.kind, weights=layer.weights,
        scheme=policy.layers.get(layer.name, Scheme()), share=facts.share,
        gain_per_kib=facts.gain, next_scheme=own(facts.following), other_scheme=own(facts.other),
        other_cost=facts.other_cost)


def _facts(group: Group, chosen: int, *, losses: tuple[float, ...], sizes: tuple[float, ...],
           charges: Row, total: float) -> _Facts:
    best = max(_steps(chosen, losses, sizes), default=None)
    other = next_best(charges, chosen)
    return _Facts(
        share=losses[chosen] / total if total > 0 else None,
        gain=best and best[0], following=group.schemes[-best[1]] if best else None,
        other=None if other is None else group.schemes[other],
        other_cost=None if other is None else float(charges[other] - charges[chosen]))


def _steps(chosen: int, losses: tuple[float, ...],
           sizes: tuple[float, ...]) -> Iterator[tuple[float, int]]:
    """Loss saved per KiB on the way to each larger and better candidate, and its index negated."""
    for k, (loss, size) in enumerate(zip(losses, sizes, strict=True)):
        if size > sizes[chosen] and loss < losses[chosen]:
            yield (losses[chosen] - loss) / (size - sizes[chosen]) * BITS_PER_KIB, -k
