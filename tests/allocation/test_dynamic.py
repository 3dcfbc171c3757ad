"""The dynamic program against brute force and a table over all sums, and where it gives up."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.dynamic import Dynamic, undominated
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Unsupported

pytestmark = pytest.mark.filterwarnings("error")


@settings(max_examples=80)
@given(data=st.data())
def test_it_equals_brute_force(problems, against_brute_force, data):
    problem = data.draw(problems())
    for selection, least in against_brute_force(Dynamic(), problem):
        assert selection.status == "optimal"
        assert selection.objective == pytest.approx(least, rel=1e-14, abs=0)
        assert selection.bound <= least
        far = 1e-11 * (least - lowest(problem))
        assert selection.bound == pytest.approx(least, rel=1e-11, abs=far)


def lowest(problem):
    return math.fsum(float(row.min()) for row in problem.losses)


@pytest.mark.parametrize("decades", [1, 12])
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_table_over_all_sums(model_like, dynamic_program, seed, decades):
    problem = model_like(seed, groups=25, decades=float(decades))
    assert Dynamic()(problem).objective == pytest.approx(dynamic_program(problem), rel=1e-12)


def test_a_list_that_grows_too_long_is_refused_with_its_length():
    powers = 2.0 ** np.arange(12)
    costs = tuple(np.array([0.0, power]) for power in powers)
    losses = tuple(np.array([power, 0.0]) for power in powers)
    problem = Problem(losses=losses, costs=(costs,), limits=(4000.0,), metrics=("size",))
    # Loss is what cost leaves, so that no sum of up to 2048 matches another one.
    with pytest.raises(Unsupported, match=r"list of \d+ sums.* more than 1000: raise 'longest'"):
        Dynamic(longest=1000)(problem)
    assert Dynamic(longest=4001)(problem).objective == 4095 - 4000


def test_lists_keep_what_no_other_entry_matches(check_undominated):
    check_undominated(undominated)
