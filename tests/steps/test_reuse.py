"""Runs that begin where a choice differs from the best one have the same outputs."""

import pytest
import torch

from mpsearch.backends.simulated import Simulated
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.graph.checkpoints import first_use, run_kept, spread_places
from mpsearch.sources.batch import Batch, Batches
from mpsearch.steps.reuse import Reuse


@pytest.mark.parametrize("name", ["chain", "residual", "attention", "sdpa", "language", "stored"])
def test_outputs_are_the_same_wherever_a_run_begins(models, name):
    model = models.caught(name)
    args = models.inputs_of(name, 3)
    schemes = {spec.name: Scheme(weight=IntFormat(bits=4)).for_kind(spec.kind)
               for spec in model.layers.specs}
    places = spread_places(model.program, model.layers, 4)
    module = Simulated()(model.program, model.fake, schemes, {})
    whole, kept = module.forward_kept(args, places, {})
    assert torch.equal(whole, module(*args))
    assert set(kept) == set(places)
    for layer in schemes:
        other = {**schemes, layer: Scheme(weight=IntFormat(bits=2)).for_kind(
            model.layers.call(layer).operation.kind)}
        changed = Simulated()(model.program, model.fake, other, {})
        first = first_use(model.program, model.layers, [layer])
        known = {place: values for place, values in kept.items() if place <= first}
        assert torch.equal(changed.forward_kept(args, places, known)[0], changed(*args))


def test_the_last_place_before_the_change_is_where_it_begins(models):
    model = models.caught("chain")
    places = spread_places(model.program, model.layers, 3)
    assert places
    last = model.layers.specs[-1].name
    assert first_use(model.program, model.layers, [last]) >= max(places)
    assert first_use(model.program, model.layers, []) == len(model.program.nodes)
    ran = []
    args = models.inputs_of("chain", 2)
    _, kept = run_kept(model.program, args, {}, {}, places=places, known={})

    class Counting(type(model.program)):
        def advance(self, env, start, stop, changes=None, *, watch=None, keep=None):
            ran.append(start)
            super().advance(env, start, stop, changes, watch=watch, keep=keep)

    program = Counting(model.program.traced, tuple(model.program.sites.values()))
    run_kept(program, args, {}, {}, places=places, known=kept)
    assert ran == [max(places)]


@pytest.mark.parametrize(("memory", "fewer"), [(1 << 30, False), (100, True), (1, True)])
def test_what_is_kept_has_room_in_the_memory(models, memory, fewer):
    model = models.caught("chain")
    args = models.inputs_of("chain", 4)
    batches = Batches.of([Batch(args=args)])
    schemes = {spec.name: Scheme(weight=IntFormat(bits=4)) for spec in model.layers.specs}
    module = Simulated()(model.program, model.fake, schemes, {})
    reuse = Reuse(_Captured(model), batches, memory)
    for _ in range(2):
        reuse.begin(schemes)
        assert torch.equal(reuse.run(module, args, 0), module(*args))
        reuse.better()
    whole = spread_places(model.program, model.layers, 8)
    assert (len(reuse._chosen(args)) < len(whole)) == fewer


class _Captured:
    def __init__(self, model):
        self.program, self.layers, self.shapes = model.program, model.layers, model.shapes
