"""Descents: the published orders, and limits that pull against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.core import Core
from mpsearch.allocation.descent import by_list, by_ratio
from mpsearch.allocation.greedy import Greedy
from mpsearch.allocation.problem import Problem


def core_of(losses, *costs, limits):
    return Core.of(Problem(losses=tuple(np.array(row, dtype=float) for row in losses),
                           costs=tuple(tuple(np.array(row, dtype=float) for row in table)
                                       for table in costs),
                           limits=limits, metrics=tuple("abc"[:len(costs)])))


@settings(max_examples=60)
@given(data=st.data())
def test_with_one_budget_both_arrive(problems, data):
    problem = data.draw(problems(budgets=(1, 1))).binding()
    if any(limit < problem.floor(m) for m, limit in enumerate(problem.limits)):
        return
    core = Core.of(problem)
    for descend in (by_ratio, by_list):
        found = descend(core, core.least())
        assert problem.meets(found)
        assert not problem.meets(core.least()) or found == core.least()


def test_of_equal_ratios_the_smallest_step_is_taken():
    core = core_of([[4, 2, 0]], [[0, 2, 4]], limits=(3.0,))
    assert by_ratio(core, (2,)) == (1,)


def test_a_saving_on_a_limit_that_is_met_does_not_count():
    # The second group would save more, but only on the budget that has room.
    core = core_of([[1, 0], [1, 0, 9]], [[0, 5], [4, 5, 5]], [[5, 5], [0, 9, 20]],
                   limits=(5.0, 15.0))
    assert by_ratio(core, (1, 1)) == (0, 1)


def test_what_saves_on_one_limit_and_breaks_the_other_is_taken_back():
    # Going cheap on a breaks b; with both counted the third candidate is the cheapest.
    core = core_of([[1, 0, 3]] * 4, [[0, 9, 2]] * 4, [[9, 1, 2]] * 4, limits=(8.0, 8.0))
    assert by_ratio(core, (1,) * 4) == (2,) * 4


@pytest.mark.parametrize("budgets", [2, 3])
def test_several_budgets_leave_it_near_the_bound(model_like, budgets):
    problem = model_like(0, groups=150, schemes=8, budgets=budgets)
    selection = Greedy()(problem)
    assert problem.meets(selection.choice)
    assert selection.bound < selection.objective < 1.5 * selection.bound
