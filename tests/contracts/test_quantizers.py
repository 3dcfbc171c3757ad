"""What every quantizer must hold, whoever wrote it: no test here names a kind of format."""

import math
from importlib import import_module
from importlib.util import find_spec
from itertools import product

import pytest
import torch

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import registry
from mpsearch.quantizers import slices
from mpsearch.quantizers.base import Direct, fake_quantize, from_static, to_static
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.packing import packed_tensors, unpacked
from mpsearch.quantizers.rounding import choose, plain
from tests.formats import formats_of

KINDS = registry.kinds()
WEIGHTS = [fmt for kind in KINDS for fmt in formats_of(kind, operand="weight")]
INPUTS = [fmt for kind in KINDS for fmt in formats_of(kind, operand="input")]
STORED = dict.fromkeys([*WEIGHTS, *(fmt for fmt in INPUTS if fmt.calibrated)])
SHAPES = [(6, 40), (3, 7), (5, 3, 3, 3), (1, 1), (1, 3, 1, 1), (2, 65)]


def numbers(fmt, shape=(6, 40), seed=0):
    """Numbers that *fmt* is meant for: weights, or activations that do not go below 0."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x if "weight" in fmt.OPERANDS else x.abs()


def fitted(fmt, x):
    quantizer = quantizer_of(fmt)
    return quantizer, quantizer.fit(x, [fmt])[0]


def named(formats):
    return pytest.mark.parametrize("fmt", list(dict.fromkeys(formats)), ids=lambda fmt: fmt.key)


def spread(name, values, formats, *, most):
    """Every kind of format with all *values*, but each format with *most* of them, in turn."""
    rows = []
    for kind in KINDS:
        own = [fmt for fmt in dict.fromkeys(formats) if fmt.kind == kind]
        met = most if most * len(own) >= len(values) else len(values)
        rows += [pytest.param(fmt, values[(met * i + j) % len(values)],
                              id=f"{fmt.key}-{values[(met * i + j) % len(values)]}")
                 for i, fmt in enumerate(own) for j in range(met)]
    return pytest.mark.parametrize(("fmt", name), rows)


def same(params, others):
    assert torch.equal(params.scale, others.scale)
    assert torch.equal(params.zero_point, others.zero_point)
    assert set(params.more) == set(others.more)
    for name, table in params.more.items():
        assert torch.equal(table.view(torch.uint8), others.more[name].view(torch.uint8)), name


def test_every_kind_has_a_quantizer_and_says_what_it_is():
    for kind in KINDS:
        cls = registry.format_class(kind)
        assert kind in plugins.names("quantizer")
        assert cls.SUMMARY
        assert cls.SOURCE
        assert cls.OPERANDS
        assert formats_of(kind) or formats_of(kind, operand="input"), kind


@pytest.fixture
def threads():
    """Set the number of threads, and put it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@named([fmt for kind in KINDS for operand in ("weight", "input")
        for fmt in formats_of(kind, operand=operand, most=4)])
def test_many_blocks_on_several_threads_lead_to_what_one_does(fmt, monkeypatch, threads):
    x = numbers(fmt, (12, 40))
    x[3:] *= 8
    threads(1)
    one = fitted(fmt, x)[1]
    threads(3)
    monkeypatch.setattr(slices, "_BLOCK", 256)
    same(one, fitted(fmt, x)[1])


@named([fmt for fmt in INPUTS if not fmt.calibrated])
@pytest.mark.parametrize("shape", [(3, 5, 40), (3, 40)])
def test_no_sample_depends_on_the_others(fmt, shape):
    x = numbers(fmt, shape)
    x[0] *= 30
    x[1, ..., 7] *= 9
    quantizer = quantizer_of(fmt)

    def rounded(x):
        (params,) = quantizer.fit(x, [fmt], (-1,))
        return fake_quantize(quantizer, x, params, fmt, (-1,))

    assert torch.equal(rounded(x), torch.cat([rounded(own) for own in x.split(1)]))


@named([*WEIGHTS, *INPUTS])
def test_plain_data_and_back(fmt):
    assert registry.read(registry.write(fmt)) == fmt


@spread("shape", SHAPES, STORED, most=3)
def test_what_is_stored_comes_back_and_weighs_what_it_says(fmt, shape):
    x = numbers(fmt, shape)
    quantizer, params = fitted(fmt, x)
    codes = quantizer.encode(x, params, fmt)
    first, last = fmt.code_range
    assert codes.dtype == torch.int32
    assert last - first < 1 << fmt.code_bits
    assert codes.numel() == math.prod(fmt.codes(shape))
    assert first <= int(codes.min()) <= int(codes.max()) <= last
    stored = packed_tensors(codes, params, fmt, shape)
    assert sum(table.nbytes for table in stored.values()) * 8 == fmt.stored_bits(shape)
    again, others = unpacked(stored, fmt, shape)
    assert torch.equal(again, codes)
    same(params, others)
    assert torch.equal(quantizer.decode(again, others, fmt, shape=shape),
                       fake_quantize(quantizer, x, params, fmt))


@spread("shape", [(6, 40), (3, 7)], [*WEIGHTS, *INPUTS], most=1)
def test_a_second_round_trip_changes_nothing(fmt, shape):
    x = numbers(fmt, shape)
    quantizer, params = fitted(fmt, x)
    once = fake_quantize(quantizer, x, params, fmt)
    assert torch.equal(fake_quantize(quantizer, once, params, fmt), once)


@named([fmt for fmt in [*WEIGHTS, *INPUTS] if fmt.ZERO])
def test_zero_stays_zero(fmt):
    x = numbers(fmt)
    x[:, ::5] = 0.0
    quantizer, params = fitted(fmt, x)
    assert not bool(fake_quantize(quantizer, x, params, fmt)[:, ::5].any())


@named([*WEIGHTS, *INPUTS])
def test_half_precision_is_widened_first(fmt):
    x = numbers(fmt).bfloat16()
    quantizer, params = fitted(fmt, x)
    same(params, fitted(fmt, x.float())[1])
    wide = fake_quantize(quantizer, x.float(), params, fmt)
    assert torch.equal(fake_quantize(quantizer, x, params, fmt), wide.bfloat16())


@named([fmt for fmt in [*WEIGHTS, *INPUTS] if fmt.EQUIVARIANT])
def test_numbers_times_a_power_of_two_lead_to_values_times_it(fmt):
    x = numbers(fmt)
    quantizer, params = fitted(fmt, x)
    _, scaled = fitted(fmt, x * 64)
    assert torch.equal(fake_quantize(quantizer, x * 64, scaled, fmt),
                       fake_quantize(quantizer, x, params, fmt) * 64)


@spread("value", [0.0, 1.0, 0.3, 1e-42, 1e37], [*WEIGHTS, *INPUTS], most=2)
def test_all_numbers_equal(fmt, value):
    x = torch.full((6, 40), value)
    quantizer, params = fitted(fmt, x)
    y = fake_quantize(quantizer, x, params, fmt)
    assert bool(y.isfinite().all())
    rest = (y.double() - x.double()).abs()
    if fmt.columnwise:
        assert float(rest.max()) <= max(0.51 * value, 1e-38)
    else:  # a code for several numbers promises its error over all; 2:4 sparsity drops half
        assert float(rest.square().mean().sqrt()) <= max(0.75 * value, 1e-38)


@spread("size", [1e-42, 1e-30, 1e36], [*WEIGHTS, *INPUTS], most=1)
def test_tiny_and_huge_numbers_are_kept_in_scale(fmt, size):
    x = numbers(fmt) * size
    quantizer, params = fitted(fmt, x)
    y = fake_quantize(quantizer, x, params, fmt)
    assert bool(y.isfinite().all())
    assert float((y / size).abs().max()) <= 4 * float((x / size).abs().max()) + 1e3 * (size < 1e-38)


@spread("bad", [float("nan"), float("inf")], [*WEIGHTS, *INPUTS], most=1)
def test_numbers_that_are_not_finite_are_refused(fmt, bad):
    x = numbers(fmt)
    quantizer, params = fitted(fmt, x)
    x[2, 5] = bad
    with pytest.raises(BadInput, match="not finite"):
        quantizer.fit(x, [fmt])
    with pytest.raises(BadInput, match="not finite"):
        quantizer.encode(x, params, fmt)


@named([*WEIGHTS, *INPUTS])
def test_an_empty_tensor_has_no_parameters(fmt):
    with pytest.raises(BadInput, match=r"empty tensor of shape \(0, 3\)"):
        quantizer_of(fmt).fit(torch.zeros(0, 3), [fmt])


@named([*WEIGHTS, *INPUTS])
def test_gradients_pass_straight_through(fmt):
    x = numbers(fmt).requires_grad_()
    quantizer, params = fitted(fmt, x)
    y = fake_quantize(quantizer, x, params, fmt)
    (y * torch.arange(40.0)).sum().backward()
    assert torch.equal(x.grad, torch.arange(40.0).expand(6, 40))


@pytest.mark.parametrize(("kind", "operand"), [
    (kind, operand) for kind in KINDS for operand in ("weight", "input")
    if operand in registry.format_class(kind).OPERANDS])
def test_formats_fitted_together_are_fitted_as_alone(kind, operand):
    formats = formats_of(kind, operand=operand)
    x = numbers(formats[0])
    quantizer = quantizer_of(formats[0])
    for fmt, together in zip(formats, quantizer.fit(x, formats), strict=True):
        same(together, quantizer.fit(x, [fmt])[0])


LOOPS = [plain, *([import_module(choose.COMPILED)] if find_spec("numba") else [])]


@spread("dtype", [torch.float32, torch.bfloat16],
        [fmt for fmt in [*WEIGHTS, *INPUTS] if isinstance(quantizer_of(fmt), Direct)], most=1)
def test_a_direct_round_trip_is_that_of_the_codes_to_the_bit(fmt, dtype, monkeypatch):
    x = numbers(fmt).to(dtype)
    part = numbers(fmt, (5, 4, 200)).to(dtype)[1:4, 1:3, 3:99]
    for each in (numbers(fmt, (2, 4500)).to(dtype), -0.3 * x.T, part.transpose(0, 2)):
        quantizer, params = fitted(fmt, each)
        codes = quantizer.encode(each, params, fmt)
        value = quantizer.decode(codes, params, fmt, dtype=dtype, shape=each.shape)
        for loops in LOOPS:
            monkeypatch.setattr(choose, "loops", lambda *_, loops=loops, **__: loops)
            direct = quantizer.round_trip(each, params, fmt)
            assert direct.dtype == dtype
            assert torch.equal(direct.contiguous().view(torch.uint8), value.view(torch.uint8))
    params = fitted(fmt, x)[1]
    for wrong, loops in product((torch.inf, torch.nan), LOOPS):
        monkeypatch.setattr(choose, "loops", lambda *_, loops=loops, **__: loops)
        x[2, 5] = wrong
        with pytest.raises(BadInput, match="not finite"):
            quantizer.round_trip(x, params, fmt)


@named([fmt for fmt in INPUTS if fmt.calibrated])
def test_a_calibrated_range_is_plain_data(fmt):
    x = numbers(fmt)
    quantizer, params = fitted(fmt, x)
    again = from_static(to_static(params))
    assert torch.equal(fake_quantize(quantizer, x, again, fmt),
                       fake_quantize(quantizer, x, params, fmt))


@named([fmt for fmt in [*WEIGHTS, *INPUTS] if fmt.granularity != "tensor"])
def test_a_wider_tensor_does_not_fit_the_parameters(fmt):
    x = numbers(fmt)
    quantizer, params = fitted(fmt, x)
    with pytest.raises(BadInput, match="that needs"):
        quantizer.encode(numbers(fmt, (11, 40)), params, fmt)
