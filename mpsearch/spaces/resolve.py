"""A space meets a model: rules and layers in, groups with their candidate schemes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.spaces.groups import make_groups
from mpsearch.spaces.match import select, unmatched
from mpsearch.spaces.rules import Space
from mpsearch.spaces.settings import Settings, apply, schemes
from mpsearch.spaces.subnets import offers, silent_subnets, whole_group
from mpsearch.spaces.values import Place


def resolve(space: Space, layers: Sequence[LayerSpec]) -> tuple[SearchSpace, tuple[str, ...]]:
    """The search space of a model whose *layers* come in order of execution.

    The second value says in words which rules name layers or positions that the model does not
    have. A layer that no rule gives a menu has one scheme, float. A branch that a subnet speaks of
    is one group; `with_subnets` gives it the candidates that leave a part of it out.

    Raises:
        BadInput: limits leave a layer without a format, nothing has a pinned width, or tied layers
            have no common scheme.
    """
    settings = {layer.name: Settings(menus={}) for layer in layers}
    for rule in space.rules:
        for layer in select(rule, layers):
            try:
                settings[layer.name] = apply(rule, settings[layer.name], layer)
            except BadInput as error:
                place = Place(source=space.source, rule=rule.number, key="pin")
                raise place.error(f"layer '{layer.name}': {error}") from error
    options = {layer.name: schemes(settings[layer.name], layer, space.source) for layer in layers}
    groups, notes = _grouped(space, layers, settings, options)
    silent = tuple(f"{space.source}: {words}" for words in (
        *(words for rule in space.rules for words in unmatched(rule, layers)),
        *silent_subnets(space, layers), *notes))
    return SearchSpace(name=space.name, layers=tuple(layers), groups=groups), silent


def _grouped(space: Space, layers: Sequence[LayerSpec], settings: Mapping[str, Settings],
             options: Mapping[str, tuple[Scheme, ...]]) -> tuple[tuple[Group, ...], list[str]]:
    """The groups, one for each branch that a subnet speaks of where that shares no other scheme."""
    branches = list(offers(space, layers))
    groups = make_groups(layers, settings, options, space.source, branches)
    entangled = [branch for branch in branches if not whole_group(branch, layers, groups)]
    if entangled:
        branches = [branch for branch in branches if branch not in entangled]
        groups = make_groups(layers, settings, options, space.source, branches)
    return groups, [f"subnet: branch '{branch}' stays whole: its layers share a scheme with others"
                    for branch in entangled]
