"""Every kind of format on one layer at a time: the simulated backend's numbers, to float32."""

import pytest

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat, registry
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.types import Scheme
from mpsearch.fakequant.keys import chosen_ranges
from tests.formats import formats_of

REFUSED = {"trellis", "vector", "product", "outlier_split", "outlier_inputs"}
RESCALED = IntFormat(bits=8, granularity="token")
CALIBRATED = IntFormat(bits=8, granularity="tensor", symmetric=False)
LAYERS = {"linear": ("chain", "layers.1"), "conv": ("residual", "conv1"),
          "matmul": ("sdpa", "matmul_1"), "stack": ("stored", "experts")}
MX4 = FloatFormat(bits=4, blocks="mx", granularity="group:3", scale="absmax")
NV4 = FloatFormat(bits=4, blocks="nv", granularity="group:4", scale="absmax")


@pytest.fixture
def difference(models):
    """The largest difference between the two backends with *scheme* on one layer, of the largest
    output.
    """
    def found(place, scheme):
        name, layer = LAYERS[place]
        model = models.caught(name)
        study = models.study_of(model, (scheme,), [models.inputs_of(name, 3)])
        own = scheme.for_kind(model.spec(layer).kind)
        ranges = {layer: chosen_ranges(study.ranges, layer,
                                       {"input": own.input, "other": own.other})}
        integer, simulated = (backend(model.program, model.fake, {layer: own}, ranges)
                              for backend in (Integer(), Simulated()))
        assert integer.in_integers == (layer,)
        args = models.inputs_of(name, 4)
        one, two = integer(*args), simulated(*args)
        assert integer(*(arg[:0] for arg in args)).shape[0] == 0
        return float((one - two).abs().max() / two.abs().max())
    return found


ELSEWHERE = {"conv": {"log_sqrt2", "two_region"}, "stack": {"lloyd"}}
"""Kinds beside those of MANY that show what linear layers and attention do not."""
MANY = {"int", "float"}


def accepts(place, kind, operand):
    if kind in REFUSED or (place == "matmul" and operand == "weight"):
        return False
    if place in ELSEWHERE and kind not in MANY | ELSEWHERE[place]:
        return False
    return bool(formats_of(kind, operand=operand, most=1))


CASES = [(place, kind, operand) for place in LAYERS for kind in registry.BUILTIN
         for operand in ("weight", "input") if accepts(place, kind, operand)]


@pytest.mark.parametrize(("place", "kind", "operand"), CASES)
def test_every_kind_runs_as_simulated(difference, place, kind, operand):
    for fmt in formats_of(kind, operand=operand, most=4 if kind in MANY else 1):
        blocks = operand == "input" and fmt.group_size is not None
        if blocks and place == "conv":
            continue
        scheme = (Scheme(weight=fmt, input=CALIBRATED) if operand == "weight"
                  else Scheme(weight=IntFormat(bits=4), input=fmt, other=RESCALED))
        assert difference(place, scheme) < 2e-6, fmt


@pytest.mark.parametrize("place", ["linear", "matmul", "stack"])
@pytest.mark.parametrize(("weight", "activation"), [
    (FloatFormat(bits=4, blocks="nv", granularity="group:4"), NV4), (IntFormat(bits=12), MX4),
    (FloatFormat(bits=8, exponent=4), IntFormat(bits=16, granularity="token"))], ids=str)
def test_both_operands_in_blocks_and_digits(difference, place, weight, activation):
    scheme = Scheme(weight=weight, input=activation, other=activation)
    assert difference(place, scheme) < 2e-6


@pytest.mark.parametrize("kind", sorted(REFUSED - {"outlier_inputs"}))
def test_codes_of_several_numbers_are_refused_in_a_line(difference, kind):
    cls = registry.format_class(kind)
    fmt = cls(**{**cls.usual("weight", {}), "bits": 4})
    with pytest.raises(Unsupported, match=r"layer 'layers\.1' has its weight in kind=") as caught:
        difference("linear", Scheme(weight=fmt, input=CALIBRATED))
    assert "the nearest is int with 4 bits" in str(caught.value)
