"""Groups: which layers must share a scheme, and the schemes that all of them allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from mpsearch.core.errors import BadInput
from mpsearch.core.types import OPERANDS, Group, Kind, LayerSpec, Scheme
from mpsearch.spaces.settings import Settings, cheapest_first

_BRANCH = "subnet branch"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """Schemes over some *operands*; the others are None in every scheme."""

    operands: frozenset[str]
    schemes: Sequence[Scheme]


def make_groups(layers: Sequence[LayerSpec], settings: Mapping[str, Settings],
                schemes: Mapping[str, tuple[Scheme, ...]], source: str,
                branches: Collection[str] = ()) -> tuple[Group, ...]:
    """Connected components of the layers under all ties, each with its common schemes.

    *settings* and *schemes* are by layer name. Each of *branches* is decided on as one. Groups and
    the layers in them are in order of execution, and a group is named after its first layer.

    Raises:
        BadInput: tied layers have no scheme in common.
    """
    ties = _ties(layers, settings, branches)
    groups = []
    for members in _components(layers, ties):
        names = tuple(layer.name for layer in members)
        common = _common([(layer.kind, schemes[layer.name]) for layer in members])
        if not common:
            raise _no_common_scheme(names, ties, source)
        groups.append(Group(name=names[0], layers=names, schemes=common))
    return tuple(groups)


def _ties(layers: Sequence[LayerSpec], settings: Mapping[str, Settings],
          branches: Collection[str]) -> dict[str, list[str]]:
    """Names of the layers under each reason to share a scheme.

    Activations tie layers only where both may quantize what they read.
    """
    ties: dict[str, list[str]] = {}
    for layer in layers:
        state = settings[layer.name]
        parameter = layer.parameter_group or layer.weight
        reads = layer.activation_group if state.reads_integers else ""
        reasons = (parameter and f"shared parameter '{parameter}'",
                   reads and f"shared activations '{reads}'",
                   state.tie,
                   layer.branch in branches and f"{_BRANCH} '{layer.branch}'")
        for reason in reasons:
            if reason:
                ties.setdefault(reason, []).append(layer.name)
    return ties


def _components(layers: Sequence[LayerSpec], ties: Mapping[str, Sequence[str]],
                ) -> list[list[LayerSpec]]:
    import networkx as nx  # a quarter of a second, which reading a space need not wait for

    graph = nx.Graph()
    graph.add_nodes_from(layer.name for layer in layers)
    for names in ties.values():
        nx.add_path(graph, names)
    root = {name: index for index, names in enumerate(nx.connected_components(graph))
            for name in names}
    members: dict[int, list[LayerSpec]] = {}
    for layer in layers:
        members.setdefault(root[layer.name], []).append(layer)
    return list(members.values())


def _common(members: Sequence[tuple[Kind, tuple[Scheme, ...]]]) -> tuple[Scheme, ...]:
    """Every scheme that, restricted to each member's kind, is one of that member's own.

    A natural join of the members' schemes over the operands they share, the longest list first.
    """
    longest_first = sorted(members, key=lambda member: -len(member[1]))
    options = [_Options(operands=frozenset(OPERANDS[kind]), schemes=own)
               for kind, own in longest_first]
    return tuple(cheapest_first(list(reduce(_join, options).schemes)))


def _join(left: _Options, right: _Options) -> _Options:
    shared = sorted(left.operands & right.operands)
    partners: dict[tuple[object, ...], list[Scheme]] = {}
    for scheme in right.schemes:
        partners.setdefault(_key(scheme, shared), []).append(scheme)
    added = right.operands - left.operands
    joined = [replace(scheme, **{name: getattr(partner, name) for name in added})
              for scheme in left.schemes for partner in partners.get(_key(scheme, shared), ())]
    return _Options(operands=left.operands | right.operands, schemes=joined)


def _key(scheme: Scheme, names: Sequence[str]) -> tuple[object, ...]:
    return tuple(getattr(scheme, name) for name in names)


def _no_common_scheme(names: Sequence[str], ties: Mapping[str, Sequence[str]], source: str,
                      ) -> BadInput:
    reasons = [reason for reason, tied in ties.items() if len(set(tied) & set(names)) > 1]
    layers = ", ".join(f"'{name}'" for name in names)
    hint = (f"; attention's products too, where it is a {_BRANCH}"
            if any(reason.startswith(_BRANCH) for reason in reasons) else "")
    return BadInput(f"{source}: layers {layers} must have one scheme ({'; '.join(reasons)}) but "
                    "no scheme is on the menu of each: give them a common width and granularity"
                    f"{hint}")
