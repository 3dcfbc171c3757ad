"""What bounds an operation, by hand."""

import pytest

from mpsearch.core.machine import Peak
from mpsearch.core.types import Scheme
from mpsearch.cost.bounds import Limits, bytes_moved, limits_of

BOX = Limits(gops=100.0, gbytes=10.0)


@pytest.mark.parametrize(("operations", "moved", "milliseconds", "bound"), [
    (1e8, 1e6, 1.0, "compute"), (1e8, 1e7, 1.0, "compute"), (1e8, 1.1e7, 1.1, "bandwidth"),
    (1e6, 1e7, 1.0, "bandwidth"), (1e6, 1e6, 1.0, "overhead"), (2.6e7, 0, 1.0, "compute"),
    (2.4e7, 0, 1.0, "overhead"),
])
def test_what_takes_longer_bounds_unless_neither_takes_long(operations, moved, milliseconds, bound):
    assert BOX.of(operations, moved, milliseconds) == bound


def test_bytes_are_those_of_the_scheme_where_weights_are_packed(hand):
    piece, layer = hand.flow.steps[0].pieces[0], hand.space.layers[0]
    scheme = hand.scheme(4, 4)
    assert bytes_moved(piece, layer, scheme, batch=2, packed=True) == (
        scheme.weight.stored_bits((8, 4)) / 8 + 2 * 12 * 4)
    assert bytes_moved(piece, layer, scheme, batch=2, packed=False) == 32 * 4 + 2 * 12 * 4
    assert bytes_moved(piece, layer, Scheme(), batch=2, packed=True) == 32 * 4 + 2 * 12 * 4


def test_a_layer_that_is_faster_than_the_peak_is_the_peak(hand):
    work = {("linear", "1x4*8x4>1x8"): 64.0}
    slow = hand.table(lambda _: 1.0, peaks=(Peak(threads=1, gflops=5.0, gbytes=2.0),))
    assert limits_of(slow, 1, work) == Limits(gops=5.0, gbytes=2.0)
    fast = hand.table(lambda _: 1e-6, peaks=slow.peaks)
    assert limits_of(fast, 1, work) == Limits(gops=64.0, gbytes=2.0)
    assert limits_of(fast, 2, work) is None
    assert limits_of(hand.table(lambda _: 0.0, peaks=slow.peaks), 1, work).gops == 5.0
