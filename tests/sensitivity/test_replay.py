"""The shared pass: one forward and backward a batch, and nothing that is already known."""

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.fisher import Fisher
from mpsearch.sensitivity.replay import ReplayEngine


@pytest.fixture
def runs(monkeypatch):
    """Layers of every site that is run with a change."""
    seen = []
    original = Site.run

    def run(self, args, kwargs, changes, parameters):
        seen.append(self.layers)
        return original(self, args, kwargs, changes, parameters)

    monkeypatch.setattr(Site, "run", run)
    return seen


@pytest.fixture
def forward(monkeypatch):
    """Sizes of the batches that the graph was started on."""
    seen = []
    original = Program.start

    def start(self, args, *rest):
        seen.append(len(args[0]))
        return original(self, args, *rest)

    monkeypatch.setattr(Program, "start", start)
    return seen


@pytest.fixture
def study(models):
    batches = [models.inputs_of("chain", n, seed=n) for n in (3, 2)]
    return models.study_of(models.caught("chain"), models.weights_only(2, 4, 8), batches)


def test_every_layer_is_replayed_once_for_each_scheme_and_batch(models, study, runs):
    models.measure(ReplayEngine(), Fisher(), study)
    assert sorted(runs) == sorted([(f"layers.{n}",) for n in range(3)] * 3 * 2)


def test_a_pass_serves_all_estimators(models, study, runs, forward):
    ledgers = {name: models.MemoryLedger() for name in ("one", "two")}
    steps = []
    tables, _ = models.measure_all(ReplayEngine(), dict.fromkeys(ledgers, Fisher()), study,
                                   ledgers, steps.append)
    assert tables["one"].values == tables["two"].values
    assert tables["one"].metric == "one"
    assert forward == [3, 2]
    assert len(runs) == 3 * 3 * 2
    assert sum(steps) == 2 * len(ReplayEngine().units(study, Fisher()))


def test_finished_units_are_not_replayed_and_change_nothing(models, study, runs, forward):
    whole, ledger = models.measure(ReplayEngine(), Fisher(), study)
    assert ledger.noted == [f"{batch}/layers.{n}" for batch in (0, 1) for n in (2, 1, 0)]
    finished = {unit: ledger.units[unit] for unit in ("0/layers.1", "1/layers.1", "1/layers.2")}
    runs.clear()
    resumed = models.MemoryLedger(finished)
    steps = []
    tables, _ = models.measure_all(ReplayEngine(), {"it": Fisher()}, study, {"it": resumed},
                                   steps.append)
    assert tables["it"] == whole
    assert sorted(runs) == sorted([("layers.0",), ("layers.0",), ("layers.2",)] * 3)
    assert sum(steps) == len(ReplayEngine().units(study, Fisher()))
    forward.clear()
    models.measure(ReplayEngine(), Fisher(), study, resumed)
    assert forward == []


def test_estimators_resume_apart(models, study, runs):
    _, ledger = models.measure(ReplayEngine(), Fisher(), study)
    runs.clear()
    ledgers = {"done": ledger, "new": models.MemoryLedger()}
    tables, _ = models.measure_all(ReplayEngine(), dict.fromkeys(ledgers, Fisher()), study,
                                   ledgers)
    assert tables["done"].values == tables["new"].values
    assert len(runs) == 3 * 3 * 2


def test_a_group_is_noted_as_soon_as_its_last_layer_is_done(models):
    model = models.caught("deep")
    study = models.study_of(model, models.weights_only(4), [models.inputs_of("deep", 2)],
                            tie=(("layers.11", "layers.5"),))
    _, ledger = models.measure(ReplayEngine(), Fisher(), study)
    order = [unit.removeprefix("0/layers.") for unit in ledger.noted]
    assert order == ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]


def test_an_output_that_is_not_finite_is_refused_by_name(models, study):
    bias = models.caught("chain").module.layers[1].bias
    before = bias[0].clone()
    try:
        bias[0] = torch.nan
        with pytest.raises(BadInput, match=r"layer 'layers\.1'"):
            models.measure(ReplayEngine(), Fisher(), study)
    finally:
        bias[0] = before


def test_parameters_and_their_gradients_are_left_alone(models, study):
    module = models.caught("chain").module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    models.measure(ReplayEngine(), Fisher(), study)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
