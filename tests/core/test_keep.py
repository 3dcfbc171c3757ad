import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.keep import Keep
from mpsearch.core.types import Scheme


@given(st.integers(1, 40), st.data())
def test_a_mask_says_which_units_stay(units, data):
    kept = data.draw(st.sets(st.integers(0, units - 1)))
    keep = Keep.of("block", units, kept)
    assert keep.kept == tuple(sorted(kept))
    assert (keep.count, keep.skips) == (len(kept), not kept)
    assert Keep(branch="block", units=units, mask=keep.mask) == keep


@pytest.mark.parametrize(("units", "mask"), [
    (0, ""), (4, ""), (4, "ff"), (5, "f"), (3, "1"), (5, "fc"), (4, "F"), (4, "g"), (4, "-1")])
def test_what_is_no_mask_is_refused(units, mask):
    with pytest.raises(BadInput, match="is no mask of"):
        Keep(branch="block", units=units, mask=mask)


def test_a_scheme_says_what_it_leaves_out():
    half, none = (Keep.of("block", 8, range(count)) for count in (4, 0))
    assert Scheme(weight=IntFormat(bits=3), keep=half).widths == "W3 keep 4/8"
    assert Scheme(keep=half).widths == "float keep 4/8"
    assert str(Scheme(weight=IntFormat(bits=3), keep=none)) == "skip"
    assert not Scheme(keep=half).is_float
    assert Scheme(keep=half).for_kind("matmul") == Scheme(keep=half)
