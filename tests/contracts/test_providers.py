"""What every provider promises: it runs what it takes, refuses the rest, and says what it is."""

from types import SimpleNamespace

import pytest
import torch

from mpsearch import plugins
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.fakequant.activations import calibrate
from mpsearch.graph.flow import find_flow
from mpsearch.steps.laps import by_step, shortest
from mpsearch.steps.offered import ranges_for

NAMES = ["residual", "sdpa", "sdpa_gqa", "language"]
TOKEN = IntFormat(bits=4, granularity="token")
STATIC = IntFormat(bits=8, granularity="tensor", symmetric=False)
SCHEMES = (Scheme(weight=IntFormat(bits=4), input=TOKEN, other=TOKEN),
           Scheme(weight=IntFormat(bits=8), input=STATIC, other=STATIC),
           Scheme(weight=IntFormat(bits=8)), Scheme())


@pytest.fixture(params=plugins.names("provider"))
def provider(request):
    return plugins.make("provider", request.param)


@pytest.fixture(params=NAMES)
def model(request, models):
    """A model with its flow and its calibrated ranges, and four samples."""
    found = models.caught(request.param)
    space = models.space_of(found.layers, SCHEMES)
    shapes = {spec.name: spec.weight_shape for spec in found.layers.specs if spec.weight_shape}
    four = models.inputs_of(request.param, 4)
    return SimpleNamespace(
        program=found.program, layers=found.layers, fake=found.fake, four=four,
        flow=find_flow(found.program, found.shapes, found.args, shapes),
        ranges=calibrate(found.program, space, [four]))


def answers(provider, model, scheme):
    """What each layer runs in under *scheme*, without those that are refused."""
    made = {}
    for spec in model.layers.specs:
        try:
            made[spec.name] = provider.runs(model.layers.call(spec.name),
                                            scheme.for_kind(spec.kind))
        except Unsupported:
            continue
    return made


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_it_runs_what_it_takes_and_tells_where_it_stands(provider, model, scheme):
    schemes = answers(provider, model, scheme)
    module = provider.module(model.program, model.fake, schemes,
                             ranges_for(model.ranges, schemes))
    with torch.inference_mode():
        before = module(*model.four)
        times = shortest(lambda: module(*model.four), model.flow, 1)
        assert torch.equal(module(*model.four), before), "watching changes nothing"
    assert all(sum(parts) > 0 for parts in by_step(times, model.flow).values())
    opened = any(not schemes.get(piece.layer, Scheme()).is_float
                 for step in model.flow.steps for piece in step.opened if piece.layer)
    parts = [parts[0] for parts in by_step(times, model.flow).values()]
    assert any(parts) == opened, "products are told apart where they run as such"


def test_an_answer_is_its_own_answer(provider, model):
    for scheme in SCHEMES:
        for layer, plain in answers(provider, model, scheme).items():
            assert provider.runs(model.layers.call(layer), plain) == plain


def test_float_is_taken_as_it_is(provider, model):
    assert set(answers(provider, model, Scheme())) == {s.name for s in model.layers.specs}
    assert all(plain.is_float for plain in answers(provider, model, Scheme()).values())


def test_it_says_what_it_is(provider):
    assert isinstance(provider.packed, bool)
    assert isinstance(provider.fusions, tuple)
    assert all("+" in pair for pair in provider.fusions)
    assert dict(provider.versions())


def test_the_float_model_runs_nothing_quantized(model):
    provider = plugins.make("provider", "float")
    for spec in model.layers.specs:
        with pytest.raises(Unsupported, match="float model"):
            provider.runs(model.layers.call(spec.name), Scheme(weight=IntFormat(bits=4)))


def test_the_simulation_runs_every_width_of_a_weight_alike(model):
    provider = plugins.make("provider", "simulated")
    for spec in model.layers.specs:
        if spec.weight:
            call = model.layers.call(spec.name)
            assert len({provider.runs(call, Scheme(weight=IntFormat(bits=bits), input=TOKEN))
                        for bits in (2, 4, 8)}) == 1
