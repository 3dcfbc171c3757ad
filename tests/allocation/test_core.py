"""Integer costs and shifted losses, and the bounds that rest on them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpsearch.allocation.bound import Relaxation, fix, hull, unit_weights
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import carry, fixed_point, total, within
from mpsearch.allocation.problem import Problem

WEIGHTS = st.floats(0, 10)


def choices(problem):
    return itertools.product(*(range(row.size) for row in problem.losses))


def binding(problem):
    problem = problem.binding()
    assume(all(limit >= problem.floor(m) for m, limit in enumerate(problem.limits)))
    reachable = problem.within_reach()
    assume(reachable is not None)
    return reachable.problem


@given(data=st.data())
def test_a_choice_is_within_the_limits_exactly_if_it_is_in_fixed_point(problems, data):
    problem = binding(data.draw(problems(groups=4)))
    core = Core.of(problem)
    for choice in choices(problem):
        spent = np.sum([row[k] for row, k in zip(core.costs, choice, strict=True)], axis=0)
        assert problem.meets(choice) == within(carry(spent), core.room)


@pytest.mark.parametrize("cost", [1.0, 1 / 3, 1e-9, 1e9 + 1])
@pytest.mark.parametrize("lift", [-1, 0, 1])
def test_the_last_bit_of_a_limit_decides(cost, lift):
    rows = tuple(np.array([0.0, value]) for value in (cost, 512.1, 1.55111512, 7.0))
    total = math.fsum(row[1] for row in rows)
    limit = total + lift * math.ulp(total)
    costs, caps = fixed_point([rows], [limit], 8)
    assert within(carry(costs.sum(axis=0)), caps) == (total <= limit)


@pytest.mark.parametrize(("limit", "kept"), [(2.0**53, True), (2.0**53 + 2, False)])
def test_a_sum_half_way_between_two_floats_rounds_to_even(limit, kept):
    costs, caps = fixed_point([[np.array([limit]), np.array([1.0])]], [limit], 2)
    assert (math.fsum([limit, 1.0]) <= limit) == kept
    assert within(carry(costs.sum(axis=0)), caps) == kept


@pytest.mark.parametrize("seed", range(20))
def test_wide_costs_are_kept_to_the_last_bit(seed):
    draw = np.random.default_rng(seed)
    rows = tuple(10.0 ** draw.uniform(-12, 3, 3) for _ in range(4))
    target = sum(float(row[k]) for row, k in zip(rows, draw.integers(0, 3, 4), strict=True))
    for limit in (math.nextafter(target, 0), target, math.nextafter(target, math.inf)):
        problem = Problem(losses=rows, costs=(rows,), limits=(limit,), metrics=("size",))
        core = Core.of(problem)
        for choice in choices(problem):
            spent = np.sum([row[k] for row, k in zip(core.costs, choice, strict=True)], axis=0)
            assert problem.meets(choice) == within(carry(spent), core.room)


@given(limbs=st.lists(st.tuples(st.integers(-2**40, 2**40), st.integers(0, 2**48 - 1)),
                      min_size=1, max_size=5), times=st.sampled_from([1, 40_000]))
def test_sums_of_many_limbs_are_exact(limbs, times):
    found = total(np.array(limbs * times))
    assert 0 <= found[1] < 2**48
    expected = times * sum((high << 48) + low for high, low in limbs)
    assert (int(found[0]) << 48) + int(found[1]) == expected


def whole(limbs):
    return (int(limbs[0]) << 48) + int(limbs[1])


def test_room_is_exact_with_tens_of_thousands_of_fractional_costs():
    groups, cheap = 40_000, 0.0625 + 1023 * 2.0**-56  # nearly all bits of the second limb
    problem = Problem(losses=(np.array([1.0, 0.0]),) * groups, metrics=("size",),
                      costs=((np.array([cheap, 0.7]),) * groups,), limits=(cheap * groups + 1,))
    core = Core.of(problem)
    assert whole(core.room[0]) == whole(core.caps[0]) - groups * whole(core.table[0][0, 0])


def test_a_second_limb_is_there_only_where_costs_need_it():
    whole = [np.array([1e15 + 1, 3.0]), np.array([7.0, 0.0])]
    assert fixed_point([whole], [1e15], 4)[0].shape == (4, 1, 1)
    assert fixed_point([[*whole, np.array([0.1])]], [1e15], 5)[0].shape == (5, 1, 2)


def test_a_core_counts_losses_above_its_own_base():
    problem = Problem(losses=(np.array([5.0, 7.0, 8.0]), np.array([-1.0, 1.0])))
    core = Core.of(problem)
    assert (core.base, core.size, core.open) == (4.0, 5, [0, 1])
    assert core.excess((2, 1)) == 5.0
    smaller = core.keep([np.array([False, True, True]), np.array([False, True])])
    assert (smaller.base, smaller.size, smaller.open) == (8.0, 2, [0])
    assert smaller.lifted(core) == 4.0
    assert smaller.excess((2, 1)) == 1.0
    assert smaller.choice([1, 0]) == (2, 1)
    assert smaller.least() == (1, 1)


def test_the_hull_leaves_out_what_a_mixture_beats():
    costs = np.array([4.0, 0.0, 1.0, 2.0, 3.0, 9.0, 4.0])
    losses = np.array([0.0, 10.0, 4.0, 3.9, 1.0, 0.0, 5.0])
    assert hull(costs, losses) == [(0.0, 10.0), (1.0, 4.0), (3.0, 1.0), (4.0, 0.0)]


def test_the_bound_is_the_relaxed_optimum():
    problem = Problem(losses=(np.array([6.0, 0.0]), np.array([2.0, 0.0])), metrics=("size",),
                      costs=((np.array([0.0, 2.0]), np.array([0.0, 2.0])),), limits=(3.0,))
    relaxation = Relaxation.of(Core.of(problem), np.ones(1))
    everything = np.ones(2, dtype=bool)
    spent = np.arange(5)[:, None, None] * (Core.of(problem).costs[0].max() // 2)
    assert relaxation.bound(everything, spent) == pytest.approx([1, 2, 5, 8, math.inf])


@settings(max_examples=100)
@given(data=st.data())
def test_no_choice_within_the_limits_is_below_a_bound(problems, brute_force, data):
    problem = binding(data.draw(problems(budgets=(1, 3), groups=4)))
    core = Core.of(problem)
    weights = np.array([data.draw(WEIGHTS) for _ in problem.limits])
    least = brute_force(problem)
    nothing = np.zeros((1, *core.room.shape), dtype=np.int64)
    everything = np.ones(len(problem.losses), dtype=bool)
    for row in [*unit_weights(core), *(weights * unit for unit in unit_weights(core))]:
        bound = Relaxation.of(core, row).bound(everything, nothing)[0]
        assert least is None or core.base + bound <= least + 1e-12 * abs(least)


@settings(max_examples=100)
@given(data=st.data())
def test_fixing_drops_no_better_choice(problems, data):
    problem = binding(data.draw(problems(budgets=(1, 3), groups=4)))
    core = Core.of(problem)
    best = data.draw(st.sampled_from([math.inf, *(core.excess(c) for c in choices(problem))]))
    relaxations = [Relaxation.of(core, weights) for weights in unit_weights(core)]
    fixed = fix(core, relaxations, best)
    for choice in choices(problem):
        if problem.meets(choice) and core.excess(choice) <= best:
            assert fixed is not None
            kept = zip(choice, fixed.kept, strict=True)
            assert all(candidate in row for candidate, row in kept)


def test_what_is_too_small_beside_the_largest_total_is_rounded_up():
    costs, caps = fixed_point([[np.array([1e-66]), np.array([0.0, 1.0])]], [1e-66], 3)
    assert costs[0].any()
    assert not within(costs[0], caps[0:1])
