"""Levels as whole numbers: the same codes and the same numbers as the quantizer's own."""

import pytest
import torch

from mpsearch.core.formats import registry
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.stairs import Stepped, Strand
from tests.formats import formats_of

KINDS = [kind for kind in registry.kinds()
         if isinstance(quantizer_of(type("F", (), {"kind": kind})), Stepped)]


def test_the_kinds_with_levels_are_known():
    assert set(KINDS) >= {"float", "lloyd", "normal_float", "twin_log", "log2", "log_sqrt2", "sulq",
                          "adalog", "tan", "two_region"}


@pytest.mark.parametrize("operand", ["weight", "input"])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_give_the_codes_and_strands_the_numbers(kind, operand):
    torch.manual_seed(0)
    x = torch.randn(4, 320)
    x = torch.cat([x, x.square() * 0.01])
    for fmt in formats_of(kind, operand=operand, most=6):
        quantizer = quantizer_of(fmt)
        axes = None if operand == "weight" else (-1,)
        params = quantizer.fit(x, [fmt], axes)[0]
        codes = quantizer.encode(x, params, fmt, axes)
        stairs = quantizer.stairs(params, fmt)
        shift = params.more.get("shift", torch.zeros(1))
        per = x.numel() // len(params.scale)
        rows = (x - shift).view(-1, per) / params.scale
        ranks = torch.bucketize(rows, stairs.bounds)
        assert torch.equal(stairs.codes[ranks].view(x.shape), codes.long()), fmt
        levels = sum(torch.tensor([float(each) for each in whole], dtype=torch.float64) * unit
                     for unit, whole in stairs.strands)
        assert bool((levels.diff() >= 0).all())
        wanted = quantizer.decode(codes, params, fmt, axes)
        found = levels[ranks] * params.scale + shift
        torch.testing.assert_close(found.view(x.shape).float(), wanted, rtol=3e-7, atol=3e-7)


def test_numbers_halfway_go_where_the_quantizer_puts_them():
    for bits, exponent in [(4, 3), (4, 2), (3, 1), (6, 3), (8, 4), (8, 5)]:
        fmt = registry.format_class("float")(bits=bits, exponent=exponent, granularity="token",
                                             scale="absmax")
        quantizer = quantizer_of(fmt)
        params = quantizer.fit(torch.ones(1, 4), [fmt], (-1,))[0]
        stairs = quantizer.stairs(params, fmt)
        x = torch.nextafter(stairs.bounds, torch.full_like(stairs.bounds, torch.inf))
        x = torch.cat([stairs.bounds, x])[None]
        one = quantizer.fit(torch.full_like(x, fmt.candidates[0].largest), [fmt], (-1,))[0]
        assert float(one.scale) == 1
        codes = quantizer.encode(x, one, fmt, (-1,))
        assert torch.equal(stairs.codes[torch.bucketize(x, stairs.bounds)], codes.long())


def test_any_floats_are_whole_numbers_of_some_unit():
    levels = [-3.5, 0.0, 2.0**-40, 1e30]
    strand = Strand.of(levels)
    assert [each * strand.unit for each in strand.whole] == levels
    assert Strand.of([0.0, 8.0, 24.0]) == Strand(unit=8.0, whole=(0, 1, 3))
