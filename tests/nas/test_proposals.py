"""What is proposed, with interactions and standard errors where they are known."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial

from mpsearch.allocation.robust import penalised
from mpsearch.nas.linas import Linas
from mpsearch.nas.loop import LOOP
from mpsearch.nas.moves import around
from mpsearch.nas.proposals import Prices, Scattered, Swap, shrunk
from mpsearch.nas.residual import fitted, weight_of
from mpsearch.nas.state import State


@pytest.fixture(scope="module")
def coupled(net):
    """The landscape with interactions as large as its scores, and noise in them."""
    rng = np.random.default_rng(4)
    scores = np.concatenate(net.landscape.problem.losses)
    factor = np.sqrt(scores) * rng.normal(0.3, 0.5, (3, scores.size))
    return replace(net.landscape, factor=factor,
                   spread=scores * rng.normal(0, 0.3, (6, scores.size)))


def state_of(landscape, loss, count=16):
    near = around(landscape, landscape.placed(landscape.scores), np.random.default_rng(1))[:count]
    return State(landscape=landscape, whole=landscape, choices=near, rng=np.random.default_rng(2),
                 losses=np.array([loss(row) for row in near]),
                 taken=frozenset(tuple(row.tolist()) for row in near))


ALL = {**dict(LOOP), "swap": Swap(), "scattered": Scattered(), "random": Linas(),
       "predicted": Linas(population=8)}


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("known", [False, True])
def test_a_proposal_is_within_the_limits_and_new(net, coupled, name, known):
    state = state_of(coupled if known else net.landscape, net.loss)
    choice = ALL[name](state, optuna.create_study().ask())
    assert choice is None or (choice not in state.taken and net.landscape.problem.meets(choice))
    assert choice is not None or name == "refit"  # which has one answer only


def test_prices_without_anything_else_are_what_they_are_without_measurements(net, coupled):
    plain, rng = net.landscape, np.random.default_rng(0)
    prices = {f"price.{unit.name}": rng.uniform(-1, 1) for unit in plain.units}
    zero = {"correction": 0.0, "interaction": 0.0, "kappa": 0.0}
    factors = np.exp(np.array(list(prices.values())) @ plain.membership)
    wanted = plain.placed(plain.scores * factors[:, None])
    state = replace(state_of(coupled, net.loss), taken=frozenset())
    assert Prices()(state, FixedTrial({**prices, **zero})) == wanted
    assert Prices()(state, FixedTrial({**prices, **zero, "interaction": 1.0})) != wanted
    assert np.array_equal(shrunk(state, 0.0), plain.scores)
    assert np.array_equal(shrunk(state, 1.0), state.residual.corrected(state.residual.mean))


def test_what_is_placed_with_interactions_or_errors_has_less_of_them(coupled):
    rng, problem = np.random.default_rng(3), coupled.problem
    with_factor = replace(problem, factor=coupled.factor)
    less = []
    for _ in range(6):
        scores = coupled.scores * np.exp(rng.normal(0, 0.5, coupled.scores.shape))
        own = replace(with_factor, losses=tuple(scores))
        alone, together, safe = (coupled.placed(scores, **more) for more in (
            {}, {"interaction": 1.0}, {"kappa": 2.0}))
        assert problem.meets(together)
        assert problem.meets(safe)
        assert own.objective(together) <= own.objective(alone)
        own = replace(own, factor=None)
        assert penalised(own, coupled.spread, 2.0, safe) <= penalised(
            own, coupled.spread, 2.0, alone)
        less.append((together != alone, safe != alone))
    assert np.any(less, axis=0).all()


def test_interactions_count_as_much_as_measurements_say(net, coupled):
    near = around(net.landscape, net.landscape.placed(net.landscape.scores),
                  np.random.default_rng(1))[:60]
    for weight in (0.0, 0.5, 1.0):
        logs = np.log(coupled.additive(near, weight))
        assert weight_of(coupled, near, logs) == weight
        made = fitted(coupled, near[:30], logs[:30])
        assert np.abs(made.predict(near[30:])[0] - logs[30:]).max() < 0.05
    assert weight_of(coupled, near[:3], logs[:3]) == 1.0
    assert weight_of(net.landscape, near, logs) == 0.0


def test_a_total_with_interactions_is_the_problems(coupled):
    near = around(coupled, coupled.placed(coupled.scores), np.random.default_rng(1))[:20]
    whole = replace(coupled.problem, factor=coupled.factor)
    assert coupled.additive(near, 1.0) == pytest.approx([whole.objective(row) for row in near])
    assert np.array_equal(coupled.additive(near), replace(coupled, factor=None).additive(near, 1.0))
