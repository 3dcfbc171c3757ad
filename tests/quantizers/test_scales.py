from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.scales import ScaleGrid, floor_log2, power_of_two
from mpsearch.quantizers.uniform import Uniform

SCALES = st.lists(st.floats(2.0**-140, 2.0**127, width=32), min_size=1, max_size=6)


def column(values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1)


@given(SCALES)
def test_stored_scales_are_fp16_numbers_of_one_power_of_two(values):
    scale = column(values)
    grid = ScaleGrid.around(scale, stored=True)
    assert len(grid.unit.unique()) == 1
    assert -128 <= int(floor_log2(grid.unit)[0]) <= 127
    for found in (grid.nearest(scale / grid.unit), grid.at_least(scale / grid.unit)):
        stored = grid.from_units(found)
        assert stored.dtype == torch.float32
        assert bool((stored > 0).all())
        halves = stored.double() / grid.unit
        assert torch.equal(halves.half().double(), halves)


@given(SCALES)
def test_no_smaller_grid_point_is_at_least_the_scale(values):
    scale = column(values)
    grid = ScaleGrid.around(scale, stored=True)
    units = scale / grid.unit
    found, near = grid.at_least(units), grid.nearest(units)
    assert bool(((found >= units) | (found == 65504)).all())
    assert bool(((found == near) | (near < units)).all())
    assert bool((found.half().view(torch.int16) - near.half().view(torch.int16) <= 1).all())


@given(SCALES)
def test_scales_computed_at_run_time_keep_float32_precision(values):
    scale = column(values)
    grid = ScaleGrid.around(scale, stored=False)
    found = grid.from_units(grid.nearest(scale / grid.unit))
    assert torch.allclose(found.double(), scale, rtol=2.0**-23, atol=2.0**-149)


def test_the_largest_scale_has_room_to_double_and_others_to_shrink():
    grid = ScaleGrid.around(column([1.0, 3.0, 2.0**-37]), stored=True)
    assert grid.unit.unique().tolist() == [2.0 / 2**14]
    assert grid.nearest(column([2.0**-50])).item() == 2.0**-24
    assert grid.nearest(column([2.0**20])).item() == 65504


def test_powers_of_two_are_exact():
    exponents = torch.arange(-1000, 1000)
    powers = power_of_two(exponents)
    assert powers.tolist() == [2.0**exponent for exponent in range(-1000, 1000)]
    assert torch.equal(floor_log2(powers), exponents)
    assert torch.equal(floor_log2(powers * 1.999), exponents)


@given(st.integers(2, 16), st.sampled_from(["absmax", "percentile", "least_squares"]),
       st.integers(-140, 120), st.integers(0, 60))
def test_every_rule_gives_scales_that_can_be_stored(bits, rule, exponent, ratio):
    x = torch.randn(4, 30, generator=torch.Generator().manual_seed(bits)) * 2.0**exponent
    x[2] *= 2.0**-ratio
    (params,) = Uniform().fit(x, [IntFormat(bits=bits, scale=rule)])
    largest = float(floor_log2(params.scale.max()))
    halves = params.scale.double() * 2.0 ** (15 - max(largest, -113))
    assert torch.equal(halves.half().double(), halves)
