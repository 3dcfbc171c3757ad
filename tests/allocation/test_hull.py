"""The fast exact allocator against brute force, the dynamic program and the integer program."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.hull import Hull
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem

pytestmark = pytest.mark.filterwarnings("error")


@st.composite
def extremes(draw):
    """One budget: ties, duplicates, equal slopes, huge integers, losses over 300 decades."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    cost = draw(st.sampled_from([
        st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 10**15).map(float),
        st.integers(-5, 5).map(float), st.floats(1e-3, 1e3), st.just(0.0)]))
    loss = draw(st.sampled_from([
        st.sampled_from([0.0, 1.0, 2.0]), st.integers(-150, 150).map(lambda e: 10.0**e),
        st.integers(-300, -250).map(lambda e: 10.0**e), st.integers(0, 290).map(lambda e: 10.0**e),
        st.just(0.0), st.integers(-9, 9).map(float)]))
    costs = [np.array(draw(st.lists(cost, min_size=n, max_size=n))) for n in sizes]
    losses = [np.array(draw(st.lists(loss, min_size=n, max_size=n))) for n in sizes]
    if draw(st.booleans()):
        losses = [5.0 - row / max(1.0, np.abs(row).max()) for row in costs]
    target = [draw(st.integers(0, n - 1)) for n in sizes]
    limit = math.fsum(row[k] for row, k in zip(costs, target, strict=True))
    return Problem(losses=tuple(losses), costs=(tuple(costs),), limits=(limit,), metrics=("size",))


@settings(max_examples=200)
@given(data=st.data())
def test_it_equals_brute_force(problems, against_brute_force, data):
    problem = data.draw(extremes() | problems(budgets=(0, 1)))
    for selection, least in against_brute_force(Hull(), problem):
        assert selection.bound <= least + 1e-12 * abs(least)
        assert selection.status == "optimal"
        assert selection.objective == pytest.approx(least, rel=1e-13, abs=0)


@pytest.mark.parametrize("decades", [1, 6, 12])
@pytest.mark.parametrize("seed", range(10))
def test_it_equals_the_dynamic_program(model_like, dynamic_program, seed, decades):
    problem = model_like(seed, groups=40, decades=float(decades))
    selection = Hull()(problem)
    assert problem.meets(selection.choice)
    assert selection.status == "optimal"
    assert selection.objective == pytest.approx(dynamic_program(problem), rel=1e-12)
    assert selection.bound == pytest.approx(selection.objective, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_it_equals_the_integer_program(model_like, seed):
    problem = model_like(seed, groups=40, schemes=8)
    assert Hull()(problem).objective == pytest.approx(Ilp()(problem).objective, rel=1e-12)


@pytest.mark.parametrize("budgets", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_several_budgets_equal_the_integer_program(model_like, seed, budgets):
    problem = model_like(seed, groups=25, schemes=4, decades=2.0, budgets=budgets)
    selection, known = Hull()(problem), Ilp()(problem)
    assert problem.meets(selection.choice)
    assert selection.objective == pytest.approx(known.objective, rel=1e-9)
    assert selection.bound <= known.objective * (1 + 1e-12)
    assert selection.status == "optimal"
    assert not selection.note
