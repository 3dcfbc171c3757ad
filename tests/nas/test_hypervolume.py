"""What a set of points dominates, against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.nas.hypervolume import hypervolume, nondominated

CELLS = 6


def sets(dims):
    return st.lists(st.tuples(*[st.integers(0, CELLS)] * dims), max_size=8)


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_it_is_the_number_of_dominated_cells(dims, data):
    points = data.draw(sets(dims))
    cells = np.stack(np.meshgrid(*[np.arange(CELLS)] * dims), -1).reshape(-1, dims)
    wanted = sum(any(all(c >= p for c, p in zip(cell, point, strict=True)) for point in points)
                 for cell in cells)
    assert hypervolume([tuple(map(float, p)) for p in points], (float(CELLS),) * dims) == wanted


@given(points=sets(2))
def test_what_nothing_beats_dominates_all_that_the_set_does(points):
    points = [tuple(map(float, p)) for p in points]
    kept = [points[i] for i in nondominated(points)]
    assert len(set(kept)) == len(kept)
    assert hypervolume(kept, (7.0, 7.0)) == hypervolume(points, (7.0, 7.0))
    for i, one in enumerate(kept):
        assert not any(all(a <= b for a, b in zip(other, one, strict=True))
                       for j, other in enumerate(kept) if j != i)
