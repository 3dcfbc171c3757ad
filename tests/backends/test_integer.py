"""The integer backend: the simulated one's numbers, from sums of integers."""

import pytest
import torch

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat, registry
from mpsearch.core.types import Scheme
from mpsearch.fakequant.keys import chosen_ranges

MODELS = ("chain", "residual", "attention", "sdpa", "language", "stored")


@pytest.fixture
def both(models):
    """The two backends' modules for a model of networks.py with *scheme* on every layer."""
    def make(name, scheme):
        model = models.caught(name)
        study = models.study_of(model, (scheme,), [models.inputs_of(name, 3)])
        schemes = {spec.name: scheme.for_kind(spec.kind) for spec in model.layers.specs}
        ranges = {layer: chosen_ranges(study.ranges, layer, {"input": own.input,
                                                             "other": own.other})
                  for layer, own in schemes.items()}
        return [backend(model.program, model.fake, schemes, ranges)
                for backend in (Integer(), Simulated())]
    return make


def scheme_of(weight, activation):
    return Scheme(weight=weight, input=activation, other=activation)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weight", [
    *(IntFormat(bits=bits) for bits in range(2, 9)),
    IntFormat(bits=4, symmetric=False), IntFormat(bits=3, granularity="group:32"),
    IntFormat(bits=5, granularity="tensor", symmetric=False)], ids=str)
@pytest.mark.parametrize("activation", [
    IntFormat(bits=8, granularity="tensor", symmetric=False),
    IntFormat(bits=6, granularity="tensor"), IntFormat(bits=8, granularity="token"),
    IntFormat(bits=4, granularity="token", symmetric=False)], ids=str)
def test_logits_are_those_of_the_simulated_backend(models, both, name, weight, activation):
    args = models.inputs_of(name, 4)
    integer, simulated = both(name, scheme_of(weight, activation))
    assert integer.in_integers
    found, wanted = integer(*args), simulated(*args)
    close = (found - wanted).abs() <= 1e-5 * wanted.abs().max()
    # A rounding of the float sums can turn a later code: few numbers, and not far.
    assert float(close.float().mean()) > 0.9
    assert float((found - wanted).abs().max()) <= 0.1 * float(wanted.abs().max())


@pytest.mark.parametrize("name", MODELS)
def test_weights_alone_are_multiplied_in_float(models, both, name):
    args = models.inputs_of(name, 4)
    for kind in registry.kinds():
        cls = registry.format_class(kind)
        if "weight" not in cls.OPERANDS:
            continue
        weight = cls(**{**cls.usual("weight", {}), "bits": 4})
        integer, simulated = both(name, Scheme(weight=weight))
        assert not integer.in_integers
        assert torch.equal(integer(*args), simulated(*args))


@pytest.mark.parametrize(("scheme", "words"), [
    (Scheme(weight=IntFormat(bits=12), input=IntFormat(bits=8, granularity="token")),
     "nearest is int with 8 bits, granularity channel"),
    (Scheme(weight=IntFormat(bits=4), input=IntFormat(bits=12, granularity="token")),
     "nearest is int with 8 bits, granularity token"),
    (Scheme(input=IntFormat(bits=8, granularity="token")), "keeps its weight in float"),
])
def test_what_no_kernel_multiplies_is_refused_by_name(both, scheme, words):
    with pytest.raises(Unsupported, match=words) as caught:
        both("chain", scheme)
    assert "layer '" in str(caught.value)
    assert "\n" not in str(caught.value)
