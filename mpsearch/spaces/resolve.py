"""A space meets a model: rules and layers in, groups with their candidate schemes out."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.core.errors import BadInput
from mpsearch.core.types import LayerSpec, SearchSpace
from mpsearch.spaces.groups import make_groups
from mpsearch.spaces.match import select, unmatched
from mpsearch.spaces.rules import Space
from mpsearch.spaces.settings import Settings, apply, schemes
from mpsearch.spaces.values import Place


def resolve(space: Space, layers: Sequence[LayerSpec]) -> tuple[SearchSpace, tuple[str, ...]]:
    """The search space of a model whose *layers* come in order of execution.

    The second value says in words which rules name layers or positions that the model does not
    have. A layer that no rule gives a menu has one scheme, float.

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
    groups = make_groups(layers, settings, options, space.source)
    silent = tuple(f"{space.source}: {words}"
                   for rule in space.rules for words in unmatched(rule, layers))
    return SearchSpace(name=space.name, layers=tuple(layers), groups=groups), silent
