"""What every estimator promises: one finite number a scheme, the same each time, and resumable."""

import dataclasses
import math
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import pytest
import torch

from mpsearch import plugins
from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme, ScoreTable

NAMES = plugins.names("estimator")
MODELS = ("chain", "residual", "attention", "sdpa", "language", "branch")
WEIGHTS_ONLY = {"weights", "moments", "curvature", "power"}
SPREAD = {"replay", "tail"}  # engines whose tables are means over samples
NO_SPREAD = {"weights", "moments", "power"}
# Shares of a path may be negative at single groups, which count as zero.
NOT_MONOTONE = {"aumann_shapley"}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def estimator(name):
    return plugins.load("estimator", name)()


@pytest.fixture
def engine(estimator):
    return plugins.load("engine", estimator.engine)()


@pytest.fixture(scope="module")
def study(models):
    """A study whose first scheme is float and whose others quantize weights."""
    def of(model, sizes=(3, 2), **options):
        whole = [torch.cat(column) for column in zip(
            models.inputs_of(model, 3, seed=3), models.inputs_of(model, 2, seed=2), strict=True)]
        batches = list(zip(*(column.split(sizes) for column in whole), strict=True))
        return models.study_of(models.caught(model), (Scheme(), *models.weights_only(2, 4)),
                               batches, **options)
    return of


@pytest.fixture(scope="module")
def measured(models, study):
    """The study, table and ledger of an estimator on a model, measured once.

    All estimators of an engine are measured together: what one says alone is another test.
    """
    @cache
    def together(engine, model, sizes, turned):
        made = study(model, sizes)
        if turned:
            groups = made.space.groups[::-1]
            made = dataclasses.replace(made, space=dataclasses.replace(made.space, groups=groups))
        loaded = {each: plugins.load("estimator", each)() for each in NAMES}
        loaded = {each: own for each, own in loaded.items() if own.engine == engine}
        return made, *models.measure_all(plugins.load("engine", engine)(), loaded, made)

    def of(name, model, sizes=(3, 2), *, turned=False):
        engine = plugins.load("estimator", name).engine
        made, tables, ledgers = together(engine, model, sizes, turned)
        return SimpleNamespace(study=made, table=tables[name], units=ledgers[name].units)
    return of


def by_group(table):
    return torch.tensor([value for _, row in sorted(zip(table.groups, table.values, strict=True))
                         for value in row], dtype=torch.float64)


def test_their_settings_can_be_read_without_torch():
    program = f"""
import sys
from mpsearch import plugins
for name in {NAMES}:
    plugins.load("estimator", name)()
    print(name, *{{"torch", "timm", "torchvision"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines() == NAMES, "each name, and nothing behind it"


def test_it_is_plain_settings(estimator):
    assert dataclasses.is_dataclass(estimator)
    assert type(estimator).__dataclass_params__.frozen
    assert type(estimator)(**dataclasses.asdict(estimator)) == estimator
    assert estimator.engine in plugins.names("engine")
    assert estimator.unit
    assert isinstance(estimator.rides_along, bool)
    assert type(estimator).__doc__


def test_its_settings_survive_being_written_down(name, estimator):
    assert plugins.make("estimator", name) == plugins.make("estimator", f"{name}()") == estimator
    for each in dataclasses.fields(estimator):
        text = f"{name}({each.name}={each.default})"
        assert plugins.make("estimator", text) == estimator
        assert plugins.canonical("estimator", text) == name
        if isinstance(each.default, bool | int | float):
            other = not each.default if isinstance(each.default, bool) else 2 * each.default
            changed = dataclasses.replace(estimator, **{each.name: other})
            text = plugins.canonical("estimator", f"{name}({each.name}={other})")
            assert text == f"{name}({each.name}={other})"
            assert plugins.make("estimator", text) == changed != estimator


@pytest.mark.parametrize("model", MODELS)
def test_it_gives_one_finite_number_for_every_scheme(name, estimator, engine, measured, model):
    found = measured(name, model)
    table, groups = found.table, found.study.space.groups
    assert isinstance(table, ScoreTable)
    assert (table.metric, table.unit) == (name, estimator.unit)
    assert table.groups == tuple(group.name for group in groups)
    shape = [len(group.schemes) for group in groups]
    assert [len(row) for row in table.values] == shape
    assert table.stderr is not None or estimator.engine not in SPREAD
    assert table.stderr is None or estimator.engine not in NO_SPREAD
    if table.stderr is not None:
        assert [len(row) for row in table.stderr] == shape
        assert all(math.isfinite(each) and each >= 0 for row in table.stderr for each in row)
    values = [value for row in table.values for value in row]
    assert all(isinstance(value, float) and math.isfinite(value) for value in values)
    assert sorted(found.units) == sorted(engine.units(found.study, estimator))


@pytest.mark.parametrize("model", ["residual", "language"])
def test_scores_of_samples_average_to_the_score(name, measured, model):
    found = measured(name, model)
    table = found.table
    if table.samples:
        means = [math.fsum(column) / len(column) for column in zip(*table.samples, strict=True)]
        assert means == [value for row in table.values for value in row]
        assert len(table.samples) == 5
    else:
        assert name not in {"kl_probe", "fisher"}


@pytest.mark.parametrize("model", MODELS)
def test_float_loses_nothing_and_fewer_bits_lose_more(name, measured, model):
    table = measured(name, model).table
    assert {row[0] for row in table.values} == {0.0}
    weighted = [row for row in table.values if len(row) == 3]
    assert len(weighted) >= 3
    coarse, fine = (sum(row[k] for row in weighted) for k in (1, 2))
    assert coarse > 0
    assert name in NOT_MONOTONE or coarse > fine > 0


def test_activations_are_scored_or_refused_by_name(models, estimator, engine):
    fmt = models.int_format(4, "token")
    study = models.study_of(models.caught("attention"), (
        Scheme(), *models.weights_and_inputs((4,), [fmt])), [models.inputs_of("attention", 3)])
    if estimator.engine in WEIGHTS_ONLY:
        with pytest.raises(BadInput, match=r"^a_name scores weights only .* activations"):
            models.measure(engine, estimator, study, name="a_name")
        return
    table, _ = models.measure(engine, estimator, study)
    assert {row[0] for row in table.values} == {0.0}
    scores = dict(zip(table.groups, table.values, strict=True))
    assert all(math.isfinite(value) for row in table.values for value in row)
    assert scores["matmul_0"][1] + scores["matmul_1"][1] > 0


def test_a_space_that_leaves_everything_in_float_loses_nothing(models, estimator, engine):
    study = models.study_of(models.caught("residual"), (Scheme(),),
                            [models.inputs_of("residual", 3)])
    table, _ = models.measure(engine, estimator, study)
    assert set(table.values) == {(0.0,)}


@pytest.mark.parametrize("model", ["residual", "attention", "windows"])
def test_batch_size_does_not_matter(name, measured, model):
    whole = by_group(measured(name, model).table)
    for sizes in ((5,), (1,) * 5):
        again = by_group(measured(name, model, sizes).table)
        torch.testing.assert_close(again, whole, rtol=0, atol=1e-3 * float(whole.max()))


def test_the_order_of_groups_does_not_matter(name, measured):
    first, other = (measured(name, "residual", turned=turned).table for turned in (False, True))
    assert other.groups == first.groups[::-1]
    torch.testing.assert_close(by_group(other), by_group(first), rtol=1e-9, atol=0)


def test_alone_and_again_it_gives_the_bytes_that_it_gave_beside_others(
        models, name, estimator, engine, measured, study):
    alone, _ = models.measure(engine, estimator, study("residual"), name=name)
    assert io.dumps(alone) == io.dumps(measured(name, "residual").table)


def test_tied_layers_have_one_row(models, estimator, engine, study):
    made = study("chain", tie=(("layers.0", "layers.2"),))
    table, _ = models.measure(engine, estimator, made)
    assert table.groups == ("layers.0", "layers.1")


@pytest.mark.parametrize("model", ["chain", "residual"])
def test_an_interrupted_run_is_taken_up_again(models, name, estimator, engine, measured, study,
                                              model):
    whole = measured(name, model)
    units = list(whole.units)
    half = models.MemoryLedger({unit: whole.units[unit] for unit in units[::2]})
    resumed, after = models.measure(engine, estimator, study(model), half, name=name)
    assert io.dumps(resumed) == io.dumps(whole.table)
    assert sorted(after.noted) == sorted(units[1::2])


def test_progress_counts_every_unit(models, estimator, engine, study):
    made, steps = study("chain"), []
    units = engine.units(made, estimator)
    assert len(set(units)) == len(units)
    _, ledgers = models.measure_all(engine, {"it": estimator}, made, progress=steps.append)
    assert sum(steps) == len(units)
    steps.clear()
    models.measure_all(engine, {"it": estimator}, made, ledgers, steps.append)
    assert steps == [len(units)]


def test_published_aph_of_rounding_noise_is_finite_and_small(models, measured, study):
    """Its differences are of rounding alone, so that no two batch sizes give the same ones."""
    aph = plugins.make("estimator", "aph(signs=ones)")
    table, _ = models.measure(plugins.load("engine", aph.engine)(), aph, study("attention"))
    assert {row[0] for row in table.values} == {0.0}
    assert all(math.isfinite(value) for row in table.values for value in row)
    largest = float(by_group(measured("aph", "attention").table).max())
    assert float(by_group(table).max()) < 1e-3 * largest
