"""Trials whose batches run in several processes: the same study, to the byte."""

import importlib.util

import joblib
import pytest
import torch
from torch import nn

import mpsearch
from mpsearch.core.errors import BadInput
from mpsearch.steps.batch_runs import Judged
from mpsearch.steps.elsewhere import _MADE, Elsewhere, Recipe, _remote, several, until
from mpsearch.steps.measure import Measured
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import open_session
from mpsearch.steps.trial_data import search_data
from mpsearch.steps.trials import TrialRunner, trial_runner
from mpsearch.workspace import Workspace

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {"calibration_samples": 8, "evaluation_samples": 8, "batch_size": 8,
       "estimator": "weight_error"}


def trials(folder, model=None, **options):
    """What a search within 4 bits wrote of its trials, with every sample."""
    plan = mpsearch.SearchPlan(trials=8, samples=56, sampler="random", study="s",
                               storage=f"journal:{folder}.log")
    found = mpsearch.search("4bpw", model, plan=plan, verify=False, workspace=str(folder), **FEW,
                            **options)
    assert not found.searched.failures
    return [(each.ticket, each.choice, each.origin, each.samples, each.state)
            for each in found.searched.records]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 16), nn.ReLU(),
                        nn.Linear(16, 3))
    return net, [(torch.randn(8, 3, 6, 6), torch.arange(8) % 3) for _ in range(9)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The trials of one process on the embedded model."""
    return trials(tmp_path_factory.mktemp("alone") / "w")


def test_two_processes_find_what_one_finds(alone, tmp_path):
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert several(7)
        assert trials(tmp_path / "w") == alone


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_so_do_other_backends_of_joblib(alone, tmp_path, backend):
    if importlib.util.find_spec({"dask": "distributed", "ray": "ray"}[backend]) is None:
        pytest.skip(f"{backend} is not installed")
    with _started(backend), joblib.parallel_config(backend=backend, n_jobs=2):
        assert trials(tmp_path / "w") == alone


def test_a_module_of_the_users_goes_there_too(net, tmp_path):
    model, data = net
    here = trials(tmp_path / "here", model, data=data)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert trials(tmp_path / "there", model, data=data) == here
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert not several(7), "threads would share what a run keeps"


@pytest.mark.parametrize(("jobs", "ends"), [
    (1, [1, 2, 4, 8, 16]), (2, [2, 4, 8, 16]), (3, [4, 8, 16]), (4, [4, 8, 16]), (6, [8, 16])])
def test_what_runs_together_ends_where_trials_are_judged(jobs, ends):
    found = [0]
    while found[-1] < 16:
        found.append(until(found[-1], jobs))
    assert found[1:] == ends


@pytest.fixture
def recipe(net, tmp_path):
    """Of the small network, with 16 samples in two batches."""
    model, data = net
    options = {"data": data, "calibration_samples": 8, "batch_size": 8}
    mpsearch.measure(model, estimators=["weight_error"], workspace=str(tmp_path), **options)
    session = open_session(model, Workspace(str(tmp_path)), options)
    record = session.workspace.load("studies", session.key, StudyRecord)
    data = search_data(session, 16)
    yield session, Recipe(session=session, record=record, samples=16, digest=data.batches.digest)
    _MADE.clear()


def test_a_process_is_sent_the_recipe_once(recipe, monkeypatch):
    _, own = recipe
    choice = (0,) * len(own.record.space.groups)
    sent = []

    def remote(key, recipe, *asked):
        sent.append(recipe is not None)
        return _remote(key, recipe, *asked)

    monkeypatch.setattr("mpsearch.steps.elsewhere._remote", remote)
    with joblib.parallel_config(backend="sequential"), Elsewhere(own, 2) as run:
        first = list(run.all(choice, None))
        second = list(run.all((1, *choice[1:]), choice))
    assert sent == [False, True, False, False, False], "asked, sent, and never sent again"
    assert all(isinstance(each, Judged) for each in first + second)
    assert first != second


def test_batches_in_any_order_are_judged_as_all_in_turn(recipe):
    session, own = recipe
    measured = Measured(key=session.key, record=own.record)
    groups = len(own.record.space.groups)
    choices = [(2,) * groups, (3,) * (groups - 1) + (2,), (2,) * (groups - 1) + (1,)]
    with trial_runner(session, measured, search_data(session, 16)) as run:
        wanted = [run(choice, lambda _: True).samples for choice in choices]
    best, found = None, []
    for choice in choices:
        pieces = {index: _remote(own.key, own, choice, best, index) for index in (1, 0)}
        found.append(pieces[0].samples + pieces[1].samples)
        best = choices[0]
    assert found == wanted


def test_a_trial_that_ends_early_has_no_more_samples_than_one_that_ran_alone(recipe):
    session, own = recipe
    choice = (2,) * len(own.record.space.groups)
    measured = Measured(key=session.key, record=own.record)
    with trial_runner(session, measured, search_data(session, 16)) as alone:
        wanted = alone(choice, lambda _: False)
    with joblib.parallel_config(backend="sequential"), Elsewhere(own, 2) as run:
        run._jobs = 2  # both batches run before the first is judged
        assert TrialRunner(run.all, 16)(choice, lambda _: False) == wanted
    assert len(wanted.samples) == 8
    assert not wanted.complete


def test_an_error_there_is_told_here(recipe):
    session, own = recipe
    other = Recipe(session=session, record=own.record, samples=16, digest="other")
    found = _remote(other.key, other, (0,), None, 0)
    assert isinstance(found, BadInput)
    assert "reads other data" in str(found)
    with (joblib.parallel_config(backend="sequential"), Elsewhere(other, 2) as run,
          pytest.raises(BadInput, match="reads other data")):
        TrialRunner(run.all, 16)((0,), lambda _: True)


def _started(backend):
    """A cluster of two processes, which that backend finds."""
    if backend == "dask":
        from distributed import Client

        return Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    from ray.util.joblib import register_ray

    register_ray()
    return joblib.parallel_config()
