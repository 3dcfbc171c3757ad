"""Which policies to run so that every layer is seen under every scheme, and in what company.

A walk is a run of the whole model under one of them. All layers change at once, so there are about
as many walks as the longest menu has schemes that run differently, and one of the float model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mpsearch.core.flow import Flow
from mpsearch.core.types import Scheme

Menus = Mapping[str, Sequence[Scheme]]
"""The schemes of each layer that run differently."""
_FLOAT = Scheme()


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A policy to run; layers without a scheme are in float. Times of *noted* ones are wanted."""

    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    noted: tuple[str, ...] = ()

    def without(self, layers: Collection[str]) -> Walk:
        """The same with some *layers* in float and not noted."""
        return Walk(schemes={name: own for name, own in self.schemes.items()
                             if name not in layers},
                    noted=tuple(name for name in self.noted if name not in layers))


def plan(flow: Flow, menus: Menus) -> tuple[Walk, ...]:
    """The float model, then walks that note every layer under every scheme of its menu.

    The two products of fused attention are never both in float where one of them is noted: they
    would not run as products. So a product in float is left out whose partner is always in float.
    """
    left = {name: list(menu) for name, menu in menus.items()}
    pairs = [(step.opened[0].layer, step.opened[-1].layer) for step in flow.steps if step.opened]
    for first, second in pairs:
        for name, other in ((first, second), (second, first)):
            if _company(menus.get(other, ())).is_float:
                left[name] = [own for own in left.get(name, ()) if not own.is_float]
        left[second] = [*left[second][1:], *left[second][:1]]  # so that float meets another scheme
    walks = [Walk()]
    while any(left.values()):
        schemes = {name: todo[0] if todo else _company(menus.get(name, ()))
                   for name, todo in left.items()}
        noted = {name for name, todo in left.items() if todo}
        for pair in pairs:
            _open(pair, schemes, noted, menus)
        for name in noted:
            left[name].remove(schemes[name])
        walks.append(Walk(schemes=schemes, noted=tuple(sorted(noted))))
    return tuple(walks)


def _company(menu: Sequence[Scheme]) -> Scheme:
    """What a layer runs in while only others are noted."""
    return next((own for own in menu if not own.is_float), _FLOAT)


def _open(pair: tuple[str, str], schemes: dict[str, Scheme], noted: set[str],
          menus: Menus) -> None:
    """Quantize one of two products that would both be in float."""
    if not all(schemes.get(name, _FLOAT).is_float for name in pair):
        return
    for name in reversed(pair):
        other = _company(menus.get(name, ()))
        if not other.is_float:
            schemes[name] = other
            noted.discard(name)
            return
