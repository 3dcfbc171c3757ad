"""The convex front of one budget against all choices, and its ends."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.bound import hull
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.supported import supported
from mpsearch.core.errors import BadInput


@settings(max_examples=60)
@given(data=st.data())
def test_it_is_the_hull_of_all_choices(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    value = st.integers(0, 12).map(float)

    def rows():
        return tuple(np.array(data.draw(st.lists(value, min_size=n, max_size=n))) for n in sizes)

    problem = Problem(losses=rows(), costs=(rows(),), limits=(0.0,), metrics=("size",))
    front = supported(problem)
    choices = list(itertools.product(*map(range, sizes)))
    corners = hull(np.array([problem.cost(0, choice) for choice in choices]),
                   np.array([problem.objective(choice) for choice in choices]))
    points = list(zip(front.cost.tolist(), front.loss.tolist(), strict=True))
    assert set(corners) <= set(points)
    assert (points[0], points[-1]) == (corners[0], corners[-1])
    xs, ys = zip(*corners, strict=True)
    assert np.interp(front.cost, xs, ys) == pytest.approx(front.loss, abs=1e-9)


def test_every_point_has_its_choice(model_like):
    problem = model_like(3, groups=40)
    front = supported(problem)
    assert (np.diff(front.cost) > 0).all()
    assert (np.diff(front.loss) < 0).all()
    assert front.cost[0] == problem.floor(0)
    for point in range(len(front.cost)):
        choice = front.choice(point)
        assert problem.cost(0, choice) == front.cost[point]
        assert problem.objective(choice) == pytest.approx(front.loss[point], rel=1e-12)
    least = math.fsum(float(row.min()) for row in problem.losses)
    assert front.loss[-1] == least


def test_slopes_fall_along_the_front(model_like):
    front = supported(model_like(5, groups=30))
    slopes = np.diff(front.loss) / np.diff(front.cost)
    assert (np.diff(slopes) >= -1e-9 * np.abs(slopes[1:])).all()


def test_no_optimum_is_below_the_convex_front(model_like, dynamic_program):
    problem = model_like(6, groups=10)
    front = supported(problem)
    for limit in np.floor(np.linspace(problem.floor(0), problem.ceiling(0), 9)):
        best = dynamic_program(problem.limited(0, float(limit)))
        assert best >= np.interp(limit, front.cost, front.loss) * (1 - 1e-12)


def test_one_candidate_each_is_one_point():
    problem = Problem(losses=(np.ones(1),) * 3, costs=((np.full(1, 2.0),) * 3,), limits=(0.0,),
                      metrics=("size",))
    front = supported(problem)
    assert (front.cost.tolist(), front.loss.tolist()) == ([6.0], [3.0])
    assert front.choice(0) == (0, 0, 0)


@pytest.mark.parametrize("budgets", [0, 2])
def test_it_is_about_one_cost(model_like, budgets):
    with pytest.raises(BadInput, match=f"the problem has {budgets}"):
        supported(model_like(0, groups=3, budgets=budgets))
