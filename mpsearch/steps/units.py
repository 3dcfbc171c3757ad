"""Groups of layers that belong together: blocks of the network, and layers of one role in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mpsearch.core.types import SearchSpace
from mpsearch.nas.landscape import Unit

_BLOCK = re.compile(r"^(?P<block>(?:\w+\.)*?\w*\d+)\.(?P<role>.+)$")
_REST = "rest"


def units_of(space: SearchSpace) -> tuple[Unit, ...]:
    """The units of the groups of *space*: one for every block and every role with several groups.

    A layer ``blocks.3.attn.qkv`` is in the block ``blocks.3`` and has the role ``attn.qkv``; one
    without a number in its name is in the block ``rest``. A group counts by its first layer.
    """
    names = [group.layers[0] for group in space.groups]
    found = [_BLOCK.match(name) for name in names]
    blocks = _by(match["block"] if match else _REST for match in found)
    roles = _by(match["role"] if match else name for match, name in zip(found, names, strict=True))
    several = {name: own for name, own in roles.items() if len(own) > 1 and name not in blocks}
    return tuple(Unit(name=name, groups=tuple(own)) for name, own in {**blocks, **several}.items())


def _by(names: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return found
