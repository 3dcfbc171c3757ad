"""Budgets divided between families: every division keeps to the budget, the best one is taken."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from mpsearch.core.budget import Budget
from mpsearch.steps import coupled
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import schemes_of
from mpsearch.steps.progress import silent

FAMILIES = ("attn", "mlp", "attn", "mlp", "mlp")
SHAPES = ((8, 16), (8, 32), (16, 16), (4, 64), (8, 8))


@pytest.fixture
def problem(make_space, make_measured, weight):
    """An allocation over two families (or as given) within a budget."""
    def make(budget="4bpw", families=FAMILIES, bits=(2, 3, 4, 6, 8), seed=0):
        space = make_space({f"layer{i}": (shape, [weight(each) for each in bits])
                            for i, shape in enumerate(SHAPES)})
        generator = np.random.default_rng(seed)
        losses = [sorted(generator.uniform(0, 1, len(bits)).tolist(), reverse=True)
                  for _ in SHAPES]
        measured = make_measured(space, losses)
        table = replace(measured.tables["kl_probe"], families=families)
        measured = replace(measured, tables={"it": table})
        budgets = [budget] if isinstance(budget, str) else budget
        return allocate(measured, "it", [Budget.parse(text) for text in budgets])
    return make


@pytest.fixture
def runs(monkeypatch):
    """Takes the place of running policies: their KL is what a function of their bits says."""
    seen = []

    def install(kl):
        def run(_session, policies, _progress, *, split):
            assert split == "calibration"  # held-out data may not decide
            found = {}
            for label, policy in policies.items():
                bits = tuple(scheme.weight.bits for scheme in policy.schemes.values())
                seen.append(bits)
                found[label] = SimpleNamespace(evaluation=SimpleNamespace(kl=kl(bits)))
            return found

        monkeypatch.setattr(coupled, "measure_policies", run)
        return seen
    return install


def bits_of(allocation, choice):
    return tuple(scheme.weight.bits for scheme in schemes_of(
        allocation.measured.record.space, choice).values())


@pytest.mark.parametrize("ratio", coupled.RATIOS)
@pytest.mark.parametrize("families", [FAMILIES, ("a", "b", "c", "a", "b")])
def test_shares_add_up_to_the_budget(problem, families, ratio):
    allocation = problem(["4bpw", "0.002GBOPs"], families)
    names = dict.fromkeys(families)
    weights = {name: ratio if name == families[0] else 1.0 for name in names}
    for index, row in enumerate(allocation.budgets):
        shares = {name: coupled._share(allocation, index, name, weights) for name in names}
        assert sum(shares.values()) == pytest.approx(row.limit)
        sizes = {name: sum(max(costs) for own, costs in zip(families, row.table.values,
                                                            strict=True) if own == name)
                 for name in names}
        rates = {name: shares[name] / sizes[name] for name in names}
        for name in names:  # as many times the bits of the others as was asked for
            assert rates[families[0]] == pytest.approx(
                rates[name] * (1 if name == families[0] else ratio))


def test_ratios_are_even_in_both_directions():
    ratios = np.array(coupled.RATIOS)
    np.testing.assert_allclose(ratios * ratios[::-1], 1)
    assert 1.0 in ratios
    assert ratios.min() == 0.5


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.7])
def test_each_family_is_solved_within_its_share(problem, ratio):
    allocation = problem("6bpw")
    weights = {"attn": ratio, "mlp": 1.0}
    found = coupled._solve(allocation, weights)
    costs = allocation.budgets[0].table.values
    for family in weights:
        inside = [i for i, own in enumerate(FAMILIES) if own == family]
        share = coupled._share(allocation, 0, family, weights)
        best = min(sum(allocation.losses.values[i][k] for i, k in zip(inside, choice, strict=True))
                   for choice in product(range(5), repeat=len(inside))
                   if sum(costs[i][k] for i, k in zip(inside, choice, strict=True)) <= share)
        assert sum(allocation.losses.values[i][found[i]] for i in inside) == pytest.approx(best)
        assert sum(costs[i][found[i]] for i in inside) <= share


@pytest.mark.parametrize("prefer", ["attn", "mlp", "far"])
def test_the_candidate_with_the_least_measured_divergence_is_returned(problem, runs, prefer):
    def kl(bits):
        favoured = sum(b for b, own in zip(bits, FAMILIES, strict=True) if own == prefer)
        return 1 / (1 + favoured) if prefer != "far" else -sum(3**i * b
                                                              for i, b in enumerate(bits))

    allocation = problem()
    seen = runs(kl)
    found = coupled.couple(None, allocation, silent)
    chosen = bits_of(found, found.selection.choice)
    assert kl(chosen) == min(map(kl, seen))
    assert bits_of(allocation, allocation.selection.choice) in seen  # one program is a candidate
    assert len(set(seen)) == len(seen) > 2
    assert found.allocator["candidates_measured"] == len(seen)
    assert found.allocator["families"] == ["attn", "mlp"]


@pytest.mark.parametrize("budget", ["2.8bpw", "4bpw", ["5bpw", "0.0005GBOPs"]])
def test_every_candidate_meets_every_budget(problem, runs, budget):
    allocation = problem(budget)
    seen = runs(lambda bits: -sum(bits))
    found = coupled.couple(None, allocation, silent)
    space = allocation.measured.record.space
    for bits in seen:
        choice = [[scheme.weight.bits for scheme in group.schemes].index(b)
                  for group, b in zip(space.groups, bits, strict=True)]
        for row in allocation.budgets:
            assert row.table.total(choice) <= row.limit
    choice, problem_ = found.selection.choice, found.problem
    assert problem_.meets(choice)
    assert found.selection.objective == pytest.approx(allocation.losses.total(choice))
    assert found.selection.objective >= allocation.selection.objective
    assert found.selection.bound == allocation.selection.bound
    assert found.selection.costs == problem_.spent(choice)
    assert found.totals.predicted_loss == pytest.approx(found.selection.objective)
    assert found.totals.size_bits == allocation.measured.costs()["size"].total(choice)


@pytest.mark.parametrize("families", [("all",) * 5, ()])
def test_a_single_family_is_left_as_it_is(problem, runs, families):
    allocation = problem(families=families)
    seen = runs(sum)
    assert coupled.couple(None, allocation, silent) is allocation
    assert seen == []


def test_divisions_below_a_familys_floor_are_left_out(problem, runs):
    wide, allocation = problem("6bpw"), problem("2.9bpw")
    uneven = {"attn": 0.5, "mlp": 1.0}
    assert coupled._solve(wide, uneven) is not None
    assert coupled._solve(allocation, uneven) is None
    seen = runs(sum)
    found = coupled.couple(None, allocation, silent)
    assert 1 <= len(seen) < len(coupled.RATIOS) * 2
    assert found.problem.meets(found.selection.choice)


def test_at_the_floor_only_the_one_program_is_left(problem, runs):
    floor = problem("8bpw").budgets[0].floor
    allocation = problem(f"{floor + 0.01:.3f}bpw")
    seen = runs(sum)
    found = coupled.couple(None, allocation, silent)
    assert found.selection.choice == allocation.selection.choice
    assert found.allocator["candidates_measured"] == len(seen)
