"""What is minimised: the sum of scores, with interactions, or with its own noise."""

import itertools
import math

import numpy as np
import pytest

from mpsearch import api
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.steps.objective import minimise, require_objective

FEW = {"calibration_samples": 16, "evaluation_samples": 32, "batch_size": 16}


def table(samples=(), factor=()):
    values = ((3.0, 1.0), (2.9, 1.0), (3.1, 1.0))
    return ScoreTable(metric="it", unit="nats", groups=("a", "b", "c"), values=values,
                      samples=samples, factor=factor)


def problem_of(losses):
    costs = ScoreTable(metric="size", unit="bits", groups=losses.groups,
                       values=((1.0, 2.0),) * 3)
    return Problem.from_tables(losses, [costs], [5.0])


def test_the_sum_alone_is_the_default():
    losses = table()
    selection, said = minimise(problem_of(losses), losses, objective="additive", allocator="ilp")
    assert selection.choice == (1, 0, 1)
    assert said["name"] == "ilp"


def test_interactions_change_the_choice():
    # the first two groups at their cheap schemes make up for each other
    losses = table(factor=((2.0, 0.0, -2.0, 0.0, 0.0, 0.0),))
    problem = problem_of(losses)
    selection, said = minimise(problem, losses, objective="interactions", allocator="ilp")
    choices = [choice for choice in itertools.product((0, 1), repeat=3) if problem.meets(choice)]
    assert selection.choice == min(choices, key=losses.predict)
    assert selection.choice != (1, 0, 1)
    assert selection.objective == pytest.approx(losses.predict(selection.choice))
    assert said["objective_kind"] == "interactions"


def test_a_robust_choice_avoids_what_is_uncertain():
    # the second group's cheap scheme is best on average, and its samples disagree wildly
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 1e-3, (40, 6))
    noise[:, 2] += np.where(np.arange(40) % 2, 8, -8)
    noise -= noise.mean(0)
    rows = np.array([3.0, 1, 2.9, 1, 3.1, 1]) + noise
    losses = table(samples=tuple(map(tuple, rows.tolist())))
    selection, said = minimise(problem_of(losses), losses, objective="robust", allocator="ilp")
    assert said["kappa"] in dict.fromkeys(row["kappa"] for row in said["held_out"])
    assert math.isfinite(said["expected_optimism"])
    assert (selection.choice == (1, 0, 1)) == (said["kappa"] == 0)
    assert selection.choice[1] == (said["kappa"] > 0)


@pytest.mark.parametrize(("objective", "missing"), [
    ("interactions", "no interactions"), ("robust", "no scores of single samples")])
def test_scores_that_lack_what_it_takes_are_refused(objective, missing):
    losses = table()
    with pytest.raises(BadInput, match=missing):
        minimise(problem_of(losses), losses, objective=objective, allocator="ilp")


def test_an_unknown_objective_is_refused():
    with pytest.raises(BadInput, match="additive, interactions, robust"):
        require_objective("best")


@pytest.mark.parametrize(("objective", "estimator"), [
    ("interactions", "logit_gram"), ("robust", "kl_probe")])
def test_a_policy_says_how_it_was_made(tmp_path, objective, estimator):
    policy = api.allocate("4bpw", workspace=str(tmp_path), verify=False, estimator=estimator,
                          objective=objective, **FEW).policy
    assert policy.provenance["allocator"]["objective_kind"] == objective
    assert policy.totals.bits_per_weight <= 4


def test_a_tolerance_takes_no_other_objective(tmp_path):
    with pytest.raises(BadInput, match="give a budget for 'robust'"):
        api.allocate(tolerance="1%", objective="robust", workspace=str(tmp_path), **FEW)
