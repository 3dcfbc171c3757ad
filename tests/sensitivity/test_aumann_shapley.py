"""The shares of all groups add up to what quantizing them together loses."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mpsearch import metrics
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.sensitivity.aumann_shapley import AumannShapley
from mpsearch.sensitivity.path import PathEngine


def divergence(study, level):
    """Mean KL of the model with every group at scheme number *level*, where it has so many."""
    changes = {}
    for group in study.space.groups:
        study.prepare(group)
        changes |= study.changes(group, group.schemes[min(level, len(group.schemes) - 1)])
    rows = [metrics.kl(study.program.run(batch.args), study.program.run(batch.args, changes))
            for batch in study.batches]
    return float(torch.cat(rows).mean())


def shares(ledger, study, level):
    """The sum of all groups' shares at *level*, a mean over samples."""
    return sum(row[0] for number in range(len(study.batches))
               for row in ledger.units[f"{number}/{level}"]) / study.samples


@pytest.mark.parametrize("name", ["chain", "residual", "attention", "twice", "language",
                                  "positions"])
def test_shares_of_weights_add_up_to_the_divergence(models, name):
    tie = (("tokens", "head"),) if name == "language" else ()
    batches = [models.inputs_of(name, n, seed=n) for n in (3, 2)]
    study = models.study_of(models.caught(name), models.weights_only(4, 8), batches, tie=tie)
    _, ledger = models.measure(PathEngine(), AumannShapley(steps=8), study)
    for level in range(2):
        assert shares(ledger, study, level) == pytest.approx(
            divergence(study, level), rel=0.01, abs=1e-12)


def test_the_only_layer_gets_all_of_it(models):
    args = models.vectors(4)
    study = models.study_of(models.catch(nn.Sequential(nn.Linear(6, 3)), args),
                            (Scheme(), *models.weights_only(3, 2)), [args])
    table, _ = models.measure(PathEngine(), AumannShapley(), study)
    expected = [divergence(study, level) for level in range(3)]
    assert table.values[0] == pytest.approx(expected, rel=1e-3, abs=1e-12)
    assert table.values[0][0] == 0.0


def test_shares_are_near_the_divergence_with_activations(models):
    args = models.inputs_of("sdpa", 8)
    study = models.study_of(models.caught("sdpa"), models.weights_and_inputs(
        (6,), [models.int_format(6, "token")]), [args])
    _, ledger = models.measure(PathEngine(), AumannShapley(steps=8), study)
    assert shares(ledger, study, 0) == pytest.approx(divergence(study, 0), rel=0.3)


def test_a_layer_that_runs_twice_is_one_player(models):
    args = models.inputs_of("twice", 4)
    schemes = models.weights_only(3)
    study = models.study_of(models.caught("twice"), schemes, [args], tie=(
        ("again", "first", "other", "head"),))
    table, _ = models.measure(PathEngine(), AumannShapley(steps=8), study)
    assert table.values[0][0] == pytest.approx(divergence(study, 0), rel=0.01)


def test_menus_of_other_lengths_go_along_and_schemes_met_twice_take_the_mean(models):
    study = models.study_of(models.caught("chain"), models.weights_only(8, 6, 4, 2),
                            [models.inputs_of("chain", 3)])
    first, second, third = study.space.groups
    space = replace(study.space, groups=(
        first, replace(second, schemes=second.schemes[::3]),
        replace(third, schemes=third.schemes[:1])))
    study = replace(study, space=space)
    estimator = AumannShapley()
    assert [estimator.level(j, 4, 2) for j in range(4)] == [0, 0, 1, 1]
    assert [estimator.level(j, 4, 1) for j in range(4)] == [0, 0, 0, 0]
    assert [estimator.level(j, 5, 3) for j in range(5)] == [0, 0, 1, 2, 2]
    assert estimator.level(0, 1, 1) == 0
    rows = {f"0/{level}": [[3.0 * 4**level], [3.0 * 4**level], [-9.0]] for level in range(4)}
    table = PathEngine().table("it", estimator, study, rows)
    assert table.values == ((1.0, 4.0, 16.0, 64.0), (2.5, 40.0), (0.0,))
    measured, ledger = models.measure(PathEngine(), estimator, study)
    assert [len(row) for row in measured.values] == [4, 2, 1]
    assert list(ledger.units) == ["0/0", "0/1", "0/2", "0/3"]


def test_float_groups_cost_nothing(models):
    schemes = (Scheme(), *models.weights_and_inputs((4,), [models.int_format(4, "token")]))
    study = models.study_of(models.caught("sdpa"), schemes, [models.inputs_of("sdpa", 3)])
    table, _ = models.measure(PathEngine(), AumannShapley(), study)
    assert {row[0] for row in table.values} == {0.0}
    assert max(row[1] for row in table.values) > 0


@pytest.mark.parametrize("name", ["sdpa_gqa", "tokens_first", "residual", "language"])
def test_batches_memory_and_order_do_not_matter(models, name):
    args = models.inputs_of(name, 5)
    schemes = models.weights_and_inputs((4, 3), [models.int_format(4, "token")])
    apart = [tuple(arg[part] for arg in args) for part in (slice(0, 2), slice(2, 5))]
    study, other = (models.study_of(models.caught(name), schemes, batches)
                    for batches in ([args], apart))
    turned = replace(other.space, groups=other.space.groups[::-1])
    other = replace(other, space=turned, memory=1)
    one, two = (models.measure(PathEngine(), AumannShapley(), each)[0] for each in (study, other))
    assert one.groups == two.groups[::-1]
    largest = max(value for row in one.values for value in row)
    for row, again in zip(one.values, two.values[::-1], strict=True):
        assert row == pytest.approx(again, rel=1e-3, abs=1e-4 * largest)


@pytest.mark.parametrize("name", ["branch", "branch_tokens_first"])
def test_padding_counts_for_nothing(models, name):
    (x,) = models.inputs_of(name, 3)
    whole, apart = (models.measure(PathEngine(), AumannShapley(), models.study_of(
        models.caught(name), models.weights_only(3), batches))[0]
        for batches in ([(x,)], [(x[:2],), (x[2:],)]))
    for row, again in zip(whole.values, apart.values, strict=True):
        assert row == pytest.approx(again, rel=1e-3, abs=1e-9)


def test_the_same_study_gives_the_same_bytes_whatever_is_left_to_do(models):
    batches = [models.inputs_of("chain", n) for n in (3, 2)]
    study = models.study_of(models.caught("chain"), models.weights_only(2, 4), batches)
    table, ledger = models.measure(PathEngine(), AumannShapley(), study)
    units = list(ledger.units)
    rest = models.MemoryLedger({unit: ledger.units[unit] for unit in units[::2]})
    again, _ = models.measure(PathEngine(), AumannShapley(), study, rest)
    assert again == table
    assert rest.noted == units[1::2]


def test_no_step_is_refused():
    with pytest.raises(BadInput, match="aumann_shapley needs"):
        AumannShapley(steps=0)
