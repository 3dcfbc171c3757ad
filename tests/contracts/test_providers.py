"""What every provider promises: it offers what runs, refuses what does not, and says what it is."""

import pytest
import torch

from mpsearch import plugins
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.fakequant.activations import calibrate
from mpsearch.graph.flow import find_flow
from mpsearch.steps.capture import Captured
from mpsearch.steps.places import find_places
from mpsearch.steps.record import StudyRecord

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
def offered(request, models):
    """The places of a model on four samples, and every scheme that each of them may take."""
    model = models.caught(request.param)
    space = models.space_of(model.layers, SCHEMES)
    shapes = {spec.name: spec.weight_shape for spec in model.layers.specs if spec.weight_shape}
    flow = find_flow(model.program, model.shapes, model.args, shapes)
    args = models.inputs_of(request.param, 4)
    record = StudyRecord(model=None, space=space, other_bytes=0, data_digest="",
                         ranges=calibrate(model.program, space, [args]))
    captured = Captured(model=None, program=model.program, layers=model.layers,
                        shapes=model.shapes, fake=model.fake, other_bytes=0, inputs=(), notes=())
    found = find_places(captured, flow, record, args, 4)
    return [(found[key[:2]], piece, scheme)
            for key, (piece, scheme) in flow.needed(space).items()]


def test_what_is_offered_runs_again_and_again_and_leaves_no_trace(provider, offered):
    ran = 0
    with torch.inference_mode():
        for place, _, scheme in offered:
            try:
                offer = provider.offer(place, scheme)
            except Unsupported:
                continue
            runs = [offer.make() for _ in range(2)]
            weights = None if place.weight is None else place.weight.clone()
            for run in (*runs, runs[0]):
                run()
            if weights is not None:
                assert torch.equal(place.weight, weights)
            ran += 1
    assert ran


def test_everything_that_is_not_quantized_is_offered(provider, offered):
    for place, _, scheme in offered:
        if scheme.is_float:
            assert provider.offer(place, scheme).alike


def test_weights_are_counted_where_there_are_any(provider, offered):
    for place, piece, scheme in offered:
        try:
            offer = provider.offer(place, scheme)
        except Unsupported:
            continue
        assert (offer.weight_bytes > 0) == (piece.weights > 0)


def test_it_says_what_it_is(provider):
    assert isinstance(provider.packed, bool)
    assert isinstance(provider.fusions, tuple)
    assert all("+" in pair for pair in provider.fusions)
    assert dict(provider.versions())


def test_the_float_model_offers_nothing_quantized(offered):
    provider = plugins.make("provider", "float")
    quantized = [(place, scheme) for place, _, scheme in offered if not scheme.is_float]
    for place, scheme in quantized:
        with pytest.raises(Unsupported, match="float model"):
            provider.offer(place, scheme)


def test_the_simulation_runs_every_width_of_a_weight_alike(offered):
    provider = plugins.make("provider", "simulated")
    by_input = {}
    for place, _, scheme in offered:
        offer = provider.offer(place, scheme)
        by_input.setdefault((place.piece.shape, str(Scheme(input=scheme.input,
                                                           other=scheme.other))), set()).add(
            offer.alike)
    assert all(len(alike) == 1 for alike in by_input.values())
