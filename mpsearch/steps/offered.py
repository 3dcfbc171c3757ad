"""What a provider offers of a space: which schemes of a layer it runs, and which of them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Piece
from mpsearch.core.types import Scheme, SearchSpace, StaticRange
from mpsearch.fakequant.keys import Ranges, chosen_ranges
from mpsearch.steps.timings import Key

if TYPE_CHECKING:
    from mpsearch.backends.timing import Provider
    from mpsearch.steps.capture import Captured


@dataclass(kw_only=True, slots=True)
class Offered:
    """The *menus* of layers as far as their schemes run differently.

    *spoken* has all schemes that each of them speaks for, *keys* what can be timed so, *refused* a
    line for what cannot be run.
    """

    menus: dict[str, list[Scheme]] = field(default_factory=dict)
    spoken: dict[tuple[str, Scheme], list[str]] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


def offered_by(provider: Provider, captured: Captured, flow: Flow, space: SearchSpace,
               missing: set[Key]) -> Offered:
    """What *provider* can run of the layers that have times *missing*, and of all other operations.

    Both products of fused attention are offered where one is. A layer in float is left to the run
    of the float model, but for those products, which run in another way there.
    """
    menus = {name: group.schemes for group in space.groups for name in group.layers}
    wanting = _layers(flow, space, missing)
    found = Offered()
    for step, piece in flow.pieces(space):
        if not piece.layer:
            found.keys.add((piece.operation, piece.shape, str(Scheme())))
        elif piece.layer in wanting:
            _offer(found, provider, captured, piece, menus[piece.layer],
                   in_float=len(step.opened) > 0)
    return found


def _layers(flow: Flow, space: SearchSpace, missing: set[Key]) -> set[str]:
    wanting = {piece.layer for _, piece in flow.pieces(space)
               if any(key[:2] == (piece.operation, piece.shape) for key in missing)}
    pairs = [{piece.layer for piece in step.opened if piece.layer} for step in flow.steps]
    return wanting.union(*(pair for pair in pairs if pair & wanting))


def _offer(found: Offered, provider: Provider, captured: Captured, piece: Piece,
           menu: tuple[Scheme, ...], *, in_float: bool) -> None:
    call = captured.layers.call(piece.layer)
    for scheme in menu:
        if scheme.keep is not None:
            continue  # a narrowed layer has another shape, and a skipped one does not run
        own = scheme.for_kind(call.operation.kind)
        try:
            plain = provider.runs(call, own)
        except Unsupported as error:
            found.refused.append(str(error))
            continue
        found.keys.add((piece.operation, piece.shape, str(own)))
        names = found.spoken.setdefault((piece.layer, plain), [])
        names += [str(own)] * (str(own) not in names)
        offers = found.menus.setdefault(piece.layer, [])
        offers += [plain] * (plain not in offers and (in_float or not plain.is_float))


def ranges_for(ranges: Ranges, schemes: Mapping[str, Scheme]) -> dict[str, dict[str, StaticRange]]:
    """The calibrated ranges that *schemes* need, by layer and operand."""
    return {layer: chosen_ranges(ranges, layer, {"input": own.input, "other": own.other})
            for layer, own in schemes.items()}
