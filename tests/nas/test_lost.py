"""The cheap end of a front, where everything loses the same."""

from dataclasses import replace

import numpy as np
import pytest

from mpsearch.allocation.problem import Problem
from mpsearch.nas.landscape import Landscape
from mpsearch.nas.loop import Worker
from mpsearch.nas.lost import cheapest_worth, lost
from mpsearch.nas.task import Task

LEVELS = 8


@pytest.fixture(scope="module")
def one():
    """One group, of which scheme k costs k."""
    costs = (np.arange(LEVELS, dtype=float),)
    problem = Problem(losses=(np.arange(LEVELS, 0, -1.0),), costs=(costs,),
                      limits=(LEVELS - 1.0,), metrics=("size",))
    return Landscape(problem=problem, units=(), allocate=lambda _: None)


def told(landscape, rows):
    choices = np.array([[cost] for cost, _ in rows])
    gone = lost(landscape, choices, np.array([loss for _, loss in rows]))
    return gone.tolist(), cheapest_worth(landscape, choices, gone)


@pytest.mark.parametrize(("rows", "gone", "worth"), [
    ([(0, 5.0), (1, 5.2), (2, 4.6), (3, 2.0), (5, 0.1)], [1, 1, 1, 0, 0], 2),
    ([(5, 0.1), (2, 4.6), (0, 5.0), (3, 2.0)], [0, 1, 1, 0], 2),
    ([(0, 5.0), (1, 4.0), (4, 5.0)], [0, 0, 0], 0),  # the loss falls at once
    ([(0, 5.0), (2, 5.0), (3, 1.0), (6, 5.0)], [1, 1, 0, 0], 2),  # what is dear may be bad too
    ([(0, 5.0), (1, 5.0)], [0, 0], 0),  # it falls nowhere yet
    ([], [], 0),
])
def test_what_loses_as_much_as_the_cheapest_is_lost(one, rows, gone, worth):
    assert told(one, rows) == ([bool(each) for each in gone], worth)


def test_several_costs_have_no_cheap_end(one):
    problem = replace(one.problem, costs=one.problem.costs * 2, limits=one.problem.limits * 2,
                      metrics=("size", "bops"))
    rows = [(0, 5.0), (1, 5.0), (3, 1.0)]
    assert told(replace(one, problem=problem), rows)[0] == [False] * 3


def test_a_front_is_searched_from_where_losses_begin_to_fall(one):
    task = Task(landscape=one, measure=lambda *_: None, objectives=("loss", "size"),
                costs={"size": float})
    worker = Worker(study=None, task=task)
    choices, losses = np.array([[0], [3], [4], [7]]), np.array([5.0, 5.0, 1.0, 0.1])
    states = [worker._state(choices, losses, frozenset(), np.random.default_rng(seed))
              for seed in range(200)]
    limits = [state.landscape.problem.limits[0] for state in states]
    assert 3 <= min(limits) < 3.1
    assert 6 < max(limits) <= 7
