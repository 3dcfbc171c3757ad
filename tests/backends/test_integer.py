"""The integer backend: the simulated one's numbers, from sums of integers."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.integer.refusal import of_layer
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats import IntFormat, registry
from mpsearch.core.formats.codewords import VectorFormat
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.split import OutlierInputsFormat
from mpsearch.core.types import Scheme

MODELS = ("chain", "residual", "attention", "sdpa", "language", "stored")


@pytest.fixture
def both(models):
    """The two backends' modules for a model of networks.py, or another, with one *scheme*."""
    def make(name, scheme, module=None, args=()):
        model = models.catch(module, args) if module else models.caught(name)
        schemes, ranges = models.decided(model, scheme, args or models.inputs_of(name, 3))
        return [backend(model.program, model.fake, schemes, ranges)
                for backend in (Integer(), Simulated(), Simulated(exact=True))]
    return make


def scheme_of(weight, activation):
    return Scheme(weight=weight, input=activation, other=activation)


CALIBRATED = IntFormat(bits=8, granularity="tensor", symmetric=False)
PAIRS = [
    (IntFormat(bits=4), CALIBRATED),
    (IntFormat(bits=3, granularity="group:32"), IntFormat(bits=8, granularity="token")),
    (IntFormat(bits=5, granularity="tensor", symmetric=False),
     IntFormat(bits=4, granularity="token", symmetric=False)),
]
WIDTHS = [*((IntFormat(bits=bits), CALIBRATED) for bits in range(2, 9)),
          (IntFormat(bits=6, symmetric=False), IntFormat(bits=16, granularity="token")),
          (IntFormat(bits=2), IntFormat(bits=12, granularity="tensor", symmetric=False))]


@pytest.mark.parametrize(("name", "weight", "activation"), [
    *((name, *pair) for name in MODELS for pair in PAIRS),
    *(("chain", *pair) for pair in WIDTHS)], ids=str)
def test_logits_are_those_of_the_simulated_backend(models, both, name, weight, activation):
    args = models.inputs_of(name, 4)
    integer, simulated, exact = both(name, scheme_of(weight, activation))
    assert integer.in_integers
    found, wanted = integer(*args), simulated(*args)
    assert torch.equal(found, exact(*args))
    close = (found - wanted).abs() <= 1e-5 * wanted.abs().max()
    # A rounding of the float sums can turn a later code: few numbers, and not far.
    assert float(close.float().mean()) > 0.9
    assert float((found - wanted).abs().max()) <= 0.1 * float(wanted.abs().max())


WIDE = [
    (IntFormat(bits=4), IntFormat(bits=16, granularity="token")),
    (IntFormat(bits=12), IntFormat(bits=8, granularity="token")),
    (IntFormat(bits=9, granularity="tensor", symmetric=False), CALIBRATED),
    (IntFormat(bits=3, granularity="group:5"), IntFormat(bits=16, granularity="tensor")),
    (IntFormat(bits=12, granularity="group:7"), CALIBRATED),
]


@pytest.mark.parametrize(("name", "weight", "activation"),
                         [(name, *pair) for name in ("residual", "sdpa") for pair in WIDE], ids=str)
def test_codes_of_more_than_8_bits_are_rounded_once_in_both(models, both, name, weight, activation):
    args = models.inputs_of(name, 4)
    integer, _, exact = both(name, scheme_of(weight, activation))
    assert torch.equal(integer(*args), exact(*args))


class OneStride(nn.Module):
    """A convolution whose stride and padding are one number for height and width."""

    def __init__(self):
        super().__init__()
        self.filters = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        return conv2d(x, self.filters, None, [2], [1]).flatten(1)


def test_one_stride_and_padding_are_those_of_height_and_width(both):
    torch.manual_seed(0)
    args = (torch.randn(3, 3, 8, 8),)
    integer, _, exact = both("", scheme_of(IntFormat(bits=4), CALIBRATED), OneStride(), args)
    assert torch.equal(integer(*args), exact(*args))


@pytest.mark.parametrize("name", MODELS)
def test_weights_alone_are_multiplied_in_float(models, both, name):
    args = models.inputs_of(name, 4)
    for kind in ("int", "lloyd", "trellis"):
        cls = registry.format_class(kind)
        weight = cls(**{**cls.usual("weight", {}), "bits": 4})
        integer, simulated, _ = both(name, Scheme(weight=weight))
        assert not integer.in_integers
        assert torch.equal(integer(*args), simulated(*args))


def test_values_that_are_not_finite_are_told_with_their_layer(models, both):
    integer, *_ = both("chain", scheme_of(IntFormat(bits=4), CALIBRATED))
    args = models.inputs_of("chain", 2)
    args[0][0] = torch.nan
    with pytest.raises(BadInput, match="the input of layer '"):
        integer(*args)


def test_batches_of_any_size_run_and_their_samples_do_not_meet(models, both):
    integer, *_ = both("sdpa", scheme_of(IntFormat(bits=4), IntFormat(bits=8, granularity="token")))
    args = models.inputs_of("sdpa", 5)
    whole = integer(*args)
    for i in range(5):
        assert torch.equal(integer(*(arg[i:i + 1] for arg in args)), whole[i:i + 1])
    assert integer(*(arg[:0] for arg in args)).shape[0] == 0


@pytest.mark.parametrize(("scheme", "words"), [
    (Scheme(weight=VectorFormat(bits=2), input=IntFormat(bits=8, granularity="token")),
     "nearest is int with 2 bits, granularity channel"),
    (Scheme(weight=IntFormat(bits=4), input=OutlierInputsFormat(bits=4)),
     "nearest is int with 4 bits, granularity token"),
    (Scheme(input=IntFormat(bits=8, granularity="token")), "keeps its weight in float"),
])
def test_what_no_kernel_multiplies_is_refused_by_name(both, scheme, words):
    with pytest.raises(Unsupported, match=words) as caught:
        both("chain", scheme)
    assert "layer '" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blocks_of_activations_are_refused_where_windows_reach_over_them(both):
    blocks = FloatFormat(bits=4, blocks="mx", scale="absmax")
    with pytest.raises(Unsupported, match=r"has its input in kind=float.*granularity token"):
        both("residual", Scheme(weight=IntFormat(bits=4), input=blocks))


def test_what_kernels_refuse_is_told_with_the_layer():
    with pytest.raises(Unsupported, match=r"^layer 'here': a sum of 9 products"), of_layer("here"):
        raise Unsupported("a sum of 9 products")
    with pytest.raises(Unsupported, match=r"^layer 'there': no$"), of_layer("here"):
        raise Unsupported("layer 'there': no")
