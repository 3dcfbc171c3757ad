"""Sub-networks in a search space: ``[[subnet]]`` tables, and the candidates they add."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, get_args

from mpsearch.core.keep import Keep
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.spaces.rules import Importance, Space, Subnet
from mpsearch.spaces.values import Place, as_list, check_keys, number, one_of, switch, texts


def read_subnets(tables: Any, place: Place) -> tuple[Subnet, ...]:
    """The ``[[subnet]]`` tables of a file.

    Raises:
        BadInput: an unknown key, a share that is none, or a table that offers nothing.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise place.at("subnet").error("expected [[subnet]] tables")
    return tuple(_subnet(table, replace(place, key=f"subnet {count}"), count)
                 for count, table in enumerate(tables, start=1))


def offers(space: Space, layers: Sequence[LayerSpec]) -> dict[str, Subnet]:
    """The residual branches of *layers* that a subnet speaks of, and the last one that does."""
    found = {branch: subnet for branch in _branches(layers) for subnet in space.subnets
             if _matches(subnet, branch)}
    return {branch: subnet for branch, subnet in found.items()
            if subnet.skip or _counts(subnet, _members(branch, layers))}


def ranked(space: Space, resolved: SearchSpace) -> dict[str, Importance]:
    """The branches whose units must be ranked, and by what."""
    return {branch: subnet.importance for branch, subnet in offers(space, resolved.layers).items()
            if whole_group(branch, resolved.layers, resolved.groups)
            and _counts(subnet, _members(branch, resolved.layers))}


def with_subnets(space: Space, resolved: SearchSpace,
                 ranking: Mapping[str, Sequence[int]]) -> SearchSpace:
    """*resolved* with the candidates that leave parts of its branches out.

    *ranking* has the units of each branch that may be narrowed, the most important first. A branch
    gets one candidate that skips it, and every scheme with every number of units that may stay;
    all of them is always one.
    """
    offered = offers(space, resolved.layers)
    groups = []
    for group in resolved.groups:
        branch = resolved.members(group)[0].branch
        subnet = offered.get(branch)
        if subnet is None or not whole_group(branch, resolved.layers, resolved.groups):
            groups.append(group)
            continue
        groups.append(replace(group, schemes=_candidates(
            subnet, resolved.members(group), group.schemes, ranking.get(branch, ()))))
    return replace(resolved, groups=tuple(groups))


def whole_group(branch: str, layers: Sequence[LayerSpec], groups: Sequence[Group]) -> bool:
    """Whether the layers of *branch* are one of *groups*, without others."""
    names = {layer.name for layer in _members(branch, layers)}
    return any(set(group.layers) == names for group in groups)


def silent_subnets(space: Space, layers: Sequence[LayerSpec]) -> list[str]:
    """Which subnets ask for what no branch has, in words."""
    known = _branches(layers)
    found = []
    for subnet in space.subnets:
        for pattern in subnet.branch or ("*",):
            if not any(fnmatchcase(branch, pattern) for branch in known):
                close = get_close_matches(pattern, known, n=1)
                hint = f" (closest: {close[0]})" if close else ""
                found.append(
                    f'subnet {subnet.number}: no residual branch matches "{pattern}"{hint}')
    return found


def _subnet(table: Mapping[str, Any], place: Place, count: int) -> Subnet:
    check_keys(table, _READERS, place)
    subnet = Subnet(number=count, **{
        key: _READERS[key](value, place.at(key)) for key, value in table.items()})
    if not (subnet.skip or subnet.heads or subnet.mlp):
        raise place.error("offers nothing: add skip = true, or shares such as heads = [0.5] or "
                          "mlp = [0.5, 0.75]")
    return subnet


def _shares(value: Any, place: Place) -> tuple[float, ...]:
    shares = tuple(number(each, place) for each in as_list(value, place))
    for share in shares:
        if not 0 < share <= 1:
            raise place.error(f"a share that stays is above 0 and at most 1, not {share}: to offer "
                              "none at all, give skip = true")
    return shares


def _importance(value: Any, place: Place) -> Importance:
    names: dict[str, Importance] = {each: each for each in get_args(Importance)}
    return names[one_of(value, names, place)]


def _candidates(subnet: Subnet, members: Sequence[LayerSpec], schemes: Sequence[Scheme],
                ranking: Sequence[int]) -> tuple[Scheme, ...]:
    branch, units = members[0].branch, max(members[0].units, 1)
    keeps = [Keep.of(branch, units, ranking[:count]) for count in _counts(subnet, members)]
    skipped = [Scheme(keep=Keep.of(branch, units, ()))] if subnet.skip else []
    return (*skipped, *(replace(scheme, keep=keep)
                        for scheme in schemes for keep in (*keeps, None)))


def _counts(subnet: Subnet, members: Sequence[LayerSpec]) -> list[int]:
    """How many units may stay, where not all do: ascending."""
    units = members[0].units
    heads = any(layer.narrows == "heads" for layer in members)
    counts = {max(1, round(share * units)) for share in (subnet.heads if heads else subnet.mlp)}
    return sorted(count for count in counts if count < units)


def _branches(layers: Sequence[LayerSpec]) -> list[str]:
    return list(dict.fromkeys(layer.branch for layer in layers if layer.branch))


def _members(branch: str, layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    return [layer for layer in layers if layer.branch == branch]


def _matches(subnet: Subnet, branch: str) -> bool:
    return any(fnmatchcase(branch, pattern) for pattern in subnet.branch or ("*",))


_READERS: dict[str, Callable[[Any, Place], Any]] = {
    "branch": texts,
    "skip": switch,
    "heads": _shares,
    "mlp": _shares,
    "importance": _importance,
}
