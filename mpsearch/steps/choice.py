"""What a choice of schemes weighs and costs, and the uniform choices to compare it with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

from mpsearch.core.formats import Format
from mpsearch.core.types import Group, Scheme, ScoreTable, SearchSpace, StaticRange, Totals
from mpsearch.cost.accounting import bits_per_weight
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.steps.measure import Measured
from mpsearch.steps.measurement import Runnable

Choice = tuple[int, ...]
"""A scheme index for every group."""


def schemes_of(space: SearchSpace, choice: Sequence[int]) -> dict[str, Scheme]:
    """The scheme of every layer, in order of execution."""
    chosen = {layer: group.schemes[k] for group, k in zip(space.groups, choice, strict=True)
              for layer in group.layers}
    return {layer.name: chosen[layer.name].for_kind(layer.kind) for layer in space.layers}


def left_out(schemes: Mapping[str, Scheme]) -> dict[str, str]:
    """What *schemes* leave out of residual branches, by branch: ``skip``, ``keep 2/3``."""
    return {scheme.keep.branch: str(scheme.keep) for scheme in schemes.values() if scheme.keep}


def ranges_of(measured: Measured, schemes: dict[str, Scheme]) -> dict[str, dict[str, StaticRange]]:
    """The calibrated ranges that *schemes* need, by layer and operand."""
    found = {layer: chosen_ranges(measured.record.ranges, layer,
                                  {"input": scheme.input, "other": scheme.other})
             for layer, scheme in schemes.items()}
    return {layer: ranges for layer, ranges in found.items() if ranges}


def runnable(measured: Measured, choice: Sequence[int]) -> Runnable:
    """The policy of *choice*, as a backend runs it."""
    schemes = schemes_of(measured.record.space, choice)
    return Runnable(schemes=schemes, ranges=ranges_of(measured, schemes))


def totals_of(measured: Measured, choice: Sequence[int], losses: ScoreTable) -> Totals:
    """Size, BOPs and predicted loss of *choice*, and what is known of its run."""
    costs, space = measured.costs(), measured.record.space
    size = int(costs["size"].total(choice))
    run = measured.costing.totals(tuple(choice), schemes_of(space, choice)) if (
        measured.costing) else {}
    return Totals(
        weights=space.weights, size_bits=size, bits_per_weight=bits_per_weight(space, size),
        file_bytes=-(-size // 8) + measured.record.other_bytes, bops=costs["bops"].total(choice),
        predicted_loss=losses.predict(choice), **run)


def uniform_choices(space: SearchSpace) -> dict[str, Choice]:
    """One choice for every scheme of the menu: each group takes that scheme, or what is nearest.

    They leave no part of the network out. A group whose menu lacks the scheme (a pin, another kind
    of layer) takes the candidate whose widths are closest, the wider one of two. Equal choices are
    listed once. A label is as short as tells the choices apart: ``uniform W4``,
    ``uniform W4s/group:32``.
    """
    weighted = [group for group in space.groups if any(s.weight for s in group.schemes)]
    menu = dict.fromkeys(scheme for group in weighted or space.groups for scheme in group.schemes
                         if scheme.keep is None)
    found: dict[Choice, Scheme] = {}
    for scheme in menu:
        found.setdefault(tuple(_nearest(group, scheme) for group in space.groups), scheme)
    widths = Counter(scheme.widths for scheme in found.values())
    return {f"uniform {scheme.widths if widths[scheme.widths] == 1 else scheme}": choice
            for choice, scheme in found.items()}


def _nearest(group: Group, wanted: Scheme) -> int:
    return min((k for k, scheme in enumerate(group.schemes) if scheme.keep is None),
               key=lambda k: (_distance(group.schemes[k], wanted), -_bits(group.schemes[k])))


def _distance(scheme: Scheme, wanted: Scheme) -> float:
    pairs = ((scheme.weight, wanted.weight), (scheme.input, wanted.input),
             (scheme.other, wanted.other or wanted.input))
    return sum(_apart(have, want) for have, want in pairs)


def _apart(have: Format | None, want: Format | None) -> float:
    if have is None or want is None:
        return 0.0 if have is want else 32.0 if want is None else 0.0
    return abs(have.bits - want.bits) + 0.5 * (_layout(have) != _layout(want))


def _layout(fmt: Format) -> dict[str, object]:
    return {each.name: getattr(fmt, each.name) for each in fields(fmt) if each.name != "bits"}


def _bits(scheme: Scheme) -> float:
    return sum(fmt.bits for fmt in (scheme.weight, scheme.input, scheme.other) if fmt)
