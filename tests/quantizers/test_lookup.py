"""Looking levels up by leading bits against searching among the boundaries."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats.levels import Log2Format, TanFormat, TwoRegionFormat
from mpsearch.quantizers.levels import _bounds
from mpsearch.quantizers.log2 import Log2
from mpsearch.quantizers.rounding.lookup import Lookup, Work
from mpsearch.quantizers.tan import Tan
from mpsearch.quantizers.two_region import TwoRegion


def found(lookup, x):
    return lookup.places(x.clone(), Work.of(len(x), x.device)).clone()


def neighbours(bounds):
    """Each boundary, and the numbers next to it on either side."""
    inf = torch.full_like(bounds, torch.inf)
    return torch.cat([bounds, torch.nextafter(bounds, inf), torch.nextafter(bounds, -inf)])


ANY = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-30, 1.0, -1.0, 3e38, -3e38,
                    torch.inf, -torch.inf])


@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=40, unique=True))
def test_any_boundaries(values):
    bounds = torch.tensor(sorted(set(values))).float()
    lookup = Lookup.of(bounds)
    x = torch.cat([neighbours(bounds), ANY, torch.linspace(-1.1, 1.1, 99)])
    if lookup is not None:
        assert torch.equal(found(lookup, x), torch.bucketize(x, bounds, out_int32=True))


@pytest.mark.parametrize(("quantizer", "fmt"), [
    (Log2(), Log2Format(bits=8)), (Tan(), TanFormat(bits=8)),
    (TwoRegion(), TwoRegionFormat(bits=8))])
def test_all_tables_of_levels_have_few_cells(quantizer, fmt):
    for table in quantizer.tables(fmt):
        bounds = _bounds(table.float().unique())
        lookup = Lookup.of(bounds)
        assert lookup is not None
        x = torch.cat([neighbours(bounds), ANY])
        assert torch.equal(found(lookup, x), torch.bucketize(x, bounds, out_int32=True))


def test_boundaries_too_close_for_a_table_have_none():
    close = torch.tensor([0.5, 0.5 + 2.0**-24, 1.0])
    assert Lookup.of(torch.cat([-close.flip(0), close])) is None
    assert Lookup.of(torch.zeros(0)) is None
    assert Lookup.of(torch.tensor([1e-40, 1.0])) is None
