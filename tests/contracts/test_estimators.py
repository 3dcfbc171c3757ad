"""What every estimator promises: one finite number a scheme, the same each time, and resumable."""

import dataclasses
import math
import subprocess
import sys

import pytest

from mpsearch import plugins
from mpsearch.core import io
from mpsearch.core.types import Scheme, ScoreTable

MODELS = ("chain", "residual", "attention", "sdpa", "language", "branch")


@pytest.fixture(params=plugins.names("estimator"))
def estimator(request):
    return plugins.load("estimator", request.param)()


@pytest.fixture
def engine(estimator):
    return plugins.load("engine", estimator.engine)()


@pytest.fixture
def study(models):
    """A study whose first scheme is float and whose others quantize weights."""
    def of(name, **options):
        return models.study_of(models.caught(name), (Scheme(), *models.weights_only(2, 4)),
                               [models.inputs_of(name, n, seed=n) for n in (3, 2)], **options)
    return of


@pytest.mark.parametrize("name", plugins.names("estimator"))
def test_its_settings_can_be_read_without_torch(name):
    program = (f"import sys; from mpsearch import plugins; plugins.load('estimator', '{name}')(); "
               "print(*sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    assert not {"torch", "timm", "torchvision"} & set(done.stdout.split())


def test_it_is_plain_settings(estimator):
    assert dataclasses.is_dataclass(estimator)
    assert type(estimator).__dataclass_params__.frozen
    assert type(estimator)(**dataclasses.asdict(estimator)) == estimator
    assert estimator.engine in plugins.names("engine")
    assert estimator.unit
    assert type(estimator).__doc__


@pytest.mark.parametrize("name", MODELS)
def test_it_gives_one_finite_number_for_every_scheme(models, estimator, engine, study, name):
    made = study(name)
    table, ledger = models.measure(engine, estimator, made, name="it")
    assert isinstance(table, ScoreTable)
    assert (table.metric, table.unit) == ("it", estimator.unit)
    assert table.groups == tuple(group.name for group in made.space.groups)
    shape = [len(group.schemes) for group in made.space.groups]
    assert [len(row) for row in table.values] == shape
    known = estimator.engine != "weights"  # weights have no samples to spread over
    assert (table.stderr is not None) == known
    assert not known or [len(row) for row in table.stderr] == shape
    values = [value for row in table.values for value in row]
    assert all(isinstance(value, float) and math.isfinite(value) for value in values)
    assert len(ledger.units) == engine.units(made)


@pytest.mark.parametrize("name", MODELS)
def test_float_loses_nothing_and_fewer_bits_lose_more(models, estimator, engine, study, name):
    table, _ = models.measure(engine, estimator, study(name))
    assert {row[0] for row in table.values} == {0.0}
    weighted = [row for row in table.values if len(row) == 3]
    assert len(weighted) >= 3
    assert sum(row[1] for row in weighted) > sum(row[2] for row in weighted) > 0


def test_the_same_study_gives_the_same_bytes(models, estimator, engine, study):
    first, second = (io.dumps(models.measure(engine, estimator, study("residual"))[0])
                     for _ in range(2))
    assert first == second


def test_tied_layers_have_one_row(models, estimator, engine, study):
    made = study("chain", tie=(("layers.0", "layers.2"),))
    table, _ = models.measure(engine, estimator, made)
    assert table.groups == ("layers.0", "layers.1")


@pytest.mark.parametrize("name", ["chain", "residual"])
def test_an_interrupted_run_is_taken_up_again(models, estimator, engine, study, name):
    whole, ledger = models.measure(engine, estimator, study(name))
    units = list(ledger.units)
    half = models.MemoryLedger({unit: ledger.units[unit] for unit in units[::2]})
    resumed, after = models.measure(engine, estimator, study(name), half)
    assert io.dumps(resumed) == io.dumps(whole)
    assert sorted(after.noted) == sorted(units[1::2])


def test_progress_counts_every_unit(models, estimator, engine, study):
    made, steps = study("chain"), []
    engine.measure({"it": estimator}, made, {"it": models.MemoryLedger()}, steps.append)
    assert sum(steps) == engine.units(made)
