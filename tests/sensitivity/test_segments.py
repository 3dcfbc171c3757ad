"""A backward pass in segments gives the gradients of the whole, and plans keep to their bound."""

from itertools import pairwise

import pytest
import torch

from mpsearch.sensitivity.reverse import Reverse
from mpsearch.sensitivity.segments import plan

MEMORIES = [1 << k for k in range(30, 4, -1)]


class Noted:
    """Visits every site, and notes what arrives there."""

    def __init__(self):
        self.passing, self.gradients = {}, {}

    def wants(self, _site):
        return True

    def visit(self, passing, g):
        name = passing.site.node.name
        assert name not in self.gradients, "a site is visited once"
        self.passing[name], self.gradients[name] = passing, g.clone()


def cotangents(draws):
    def make(output):
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(output.shape, generator=generator) for _ in range(draws)]
    return make


def back(model, args, cuts, draws=()):
    noted = Noted()
    reverse = Reverse(program=model.program, cuts=cuts, draws=draws)
    reverse.run(args, cotangents(max(draws, default=1)), noted)
    return noted


def whole(model):
    return (0, len(model.program.nodes))


def even_cuts(model, parts):
    size = len(model.program.nodes)
    return tuple(sorted({size * part // parts for part in range(parts + 1)}))


def may_cut(model, cuts):
    """Several tensors of one operation are never taken apart by a cut."""
    return not any(isinstance(node.meta.get("val"), tuple | list)
                   for cut in cuts[1:-1] for node in model.program.live(cut))


@pytest.mark.parametrize("name", ["chain", "deep", "dense", "twice", "windows"])
def test_gradients_are_those_of_autograd(models, name):
    model, args = models.caught(name), models.inputs_of(name, 3)
    runs = []

    def note(layer, _args, output):
        output = output if output.requires_grad else output.requires_grad_()
        runs.append((layer, output))
        return output

    layers = {each: spec.name for spec in model.layers.specs
              if spec.kind in {"linear", "conv"} and spec.name in dict(model.module.named_modules())
              for each in [model.module.get_submodule(spec.name)]}
    handles = [layer.register_forward_hook(note) for layer in layers]
    output = model.module(*args)
    for handle in handles:
        handle.remove()
    expected = torch.autograd.grad(output, [run for _, run in runs], cotangents(1)(output.detach()))
    noted = back(model, args, even_cuts(model, 4))
    order = sorted(noted.passing.values(), key=lambda each: model.program.position[each.site.node])
    found = [(passing.site.layers[0], noted.gradients[passing.site.node.name])
             for passing in order if passing.site.layers[0] in layers.values()]
    assert len(found) >= len(layers) >= 2
    for (layer, _), gradient, (name_found, g) in zip(runs, expected, found, strict=True):
        assert name_found == layers[layer]
        torch.testing.assert_close(g.reshape(gradient.shape), gradient)


@pytest.mark.parametrize("name", ["chain", "deep", "residual", "dense", "attention", "sdpa_gqa",
                                  "mha", "tokens_first", "windows", "language", "stored", "twice",
                                  "branch", "positions"])
def test_where_it_is_cut_changes_nothing(models, name):
    model, args = models.caught(name), models.inputs_of(name, 3)
    once = back(model, args, whole(model), (1, 3))
    assert once.gradients
    for parts in (2, 3, 7):
        cuts = even_cuts(model, parts)
        if not may_cut(model, cuts):
            continue
        again = back(model, args, cuts, (1, 3))
        assert again.gradients.keys() == once.gradients.keys()
        for node, g in once.gradients.items():
            torch.testing.assert_close(again.gradients[node], g)
            for draws in (1, 3):
                torch.testing.assert_close(again.passing[node].squares[draws],
                                           once.passing[node].squares[draws])


def test_squares_are_means_over_the_draws(models):
    model, args = models.caught("chain"), models.inputs_of("chain", 3)
    found = back(model, args, even_cuts(model, 3), (1, 4))
    drawn = cotangents(4)(torch.zeros(3, 3))
    each = []
    for cotangent in drawn:
        noted = Noted()
        Reverse(program=model.program, cuts=whole(model)).run(
            args, lambda _output, given=cotangent: [given], noted)
        each.append(noted.gradients)
    for node, passing in found.passing.items():
        torch.testing.assert_close(found.gradients[node], each[0][node])
        torch.testing.assert_close(passing.squares[1], each[0][node] ** 2)
        mean = torch.stack([gradients[node] ** 2 for gradients in each]).mean(0)
        torch.testing.assert_close(passing.squares[4], mean)


@pytest.mark.parametrize("name", ["deep", "residual", "attention", "language", "branch"])
def test_less_memory_means_more_segments_and_then_fewer_samples(models, name):
    model = models.caught(name)
    held = model.program.traced.batch or 16
    plans = [plan(model.program, model.shapes, held, memory) for memory in MEMORIES]
    assert (plans[0].samples, plans[0].cuts) == (held, whole(model))
    assert plans[-1].bytes < plans[0].bytes
    assert len(plans[-1].cuts) > 2 or plans[-1].samples < held
    for more, less in pairwise(plans):
        assert less.samples <= more.samples
        assert less.bytes <= more.bytes
        if less.samples == more.samples:
            assert len(less.cuts) >= len(more.cuts)
    if model.program.traced.batch:
        assert {each.samples for each in plans} == {held}


@pytest.mark.parametrize("name", ["deep", "residual", "attention", "language", "branch"])
def test_a_plan_keeps_to_its_bound_where_any_does(models, name):
    model = models.caught(name)
    held = model.program.traced.batch or 16
    smallest = plan(model.program, model.shapes, held, 1).bytes
    for memory in MEMORIES:
        made = plan(model.program, model.shapes, held, memory)
        assert made.bytes <= memory or made.bytes == smallest > memory
        assert (made.cuts[0], made.cuts[-1]) == whole(model)
        assert all(a < b for a, b in pairwise(made.cuts))
        assert may_cut(model, made.cuts)
