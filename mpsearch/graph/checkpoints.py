"""Runs that keep their values at a few places, so that another one need not begin before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor
from torch.fx import Node

from mpsearch.graph.execute import Env, Program
from mpsearch.graph.layers import Layers
from mpsearch.graph.sites import Changes

Kept = dict[int, Env]
"""Values that operations from a place on still need, by place."""


def run_kept(program: Program, args: tuple[Tensor, ...], changes: Changes,
             stored: Mapping[Node, Tensor], *, places: Sequence[int],
             known: Kept) -> tuple[Tensor, Kept]:
    """The output of *program*, and its values at *places*.

    It begins at the last place that is *known*: from another run that agrees up to there.
    """
    env = program.start(args, stored)
    begin = max(known, default=0)
    env.update(known.get(begin, {}))
    kept = dict(known)
    for place in (place for place in sorted(places) if place > begin):
        program.advance(env, begin, place, changes)
        kept[place] = {node: env[node] for node in program.live(place)}
        begin = place
    output = program.finish(env, begin, changes)
    return (output[: args[0].shape[0]] if program.traced.batch else output), kept


def first_use(program: Program, layers: Layers, names: Iterable[str]) -> int:
    """The first operation that one of the layers *names* changes, or the number of all if none."""
    wanted = set(names)
    calls = [(site.node, call) for site in layers.sites for call in site.calls]
    # A weight may be read by layers of other names.
    changed = {call.parameter for _, call in calls if call.layer in wanted and call.parameter}
    return min((program.position[node] for place, call in calls
                if call.layer in wanted or call.parameter in changed
                for node in (place, *call.path)), default=len(program.nodes))


def spread_places(program: Program, layers: Layers, count: int) -> tuple[int, ...]:
    """At most *count* places, with about as much arithmetic between them."""
    macs = {spec.name: spec.macs for spec in layers.specs}
    whole = sum(macs.values())
    found: list[int] = []
    done = 0.0
    for site in sorted(layers.sites, key=lambda site: program.position[site.node]):
        if done >= whole * (len(found) + 1) / (count + 1) and len(found) < count:
            found.append(program.position[site.node])
        done += sum(macs[call.layer] for call in site.calls)
    return tuple(found)
