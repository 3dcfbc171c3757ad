"""What is timed, what is kept, and what is never timed again: by a clock that stands still."""

from dataclasses import replace

import pytest

from mpsearch import api
from mpsearch.core.errors import BadInput, UnknownName, Unsupported
from mpsearch.cost.devices import shipped
from mpsearch.cost.latency import latency
from mpsearch.steps import laps, peaks, profile
from mpsearch.steps.devices import saved_table
from mpsearch.steps.profile import ProfilePlan
from mpsearch.steps.timeline import timeline, timelines
from mpsearch.workspace import Workspace

OPTIONS = {"calibration_samples": 6, "batch_size": 3}


@pytest.fixture
def rounds(monkeypatch):
    """Times without a clock: the second run of a policy is the fastest; what was asked is noted."""
    asked = []

    def shortest(run, flow):
        asked.append(run.func)
        turn = asked.count(run.func)
        return [1.0 + (0.25 if turn == 2 else 0.5)] * (laps.PARTS * len(flow.steps))

    class Steady:
        def __init__(self, tasks, _threads):
            self.tasks = tasks

        def round(self):
            return [1.0] * len(self.tasks)

    monkeypatch.setattr(laps, "shortest", shortest)
    monkeypatch.setattr(peaks, "Stopwatch", Steady)
    return asked


@pytest.fixture
def run(models, rounds):
    """Profile a small network with fused attention."""
    module, inputs = models.build("sdpa")
    assert rounds == []

    def profiled(place, space="weights_only", rounds=3, **plan):
        return api.profile(module, data=[inputs(3), inputs(3, 2)], workspace=str(place),
                           space=space, plan=ProfilePlan(rounds=rounds, **plan), **OPTIONS)

    return profiled


def test_everything_that_runs_is_timed_once_for_all_schemes_that_run_alike(run, rounds, tmp_path):
    found = run(tmp_path)
    needed = found.flow.needed(found.record.space)
    assert found.new == len(found.table.rows) == len(needed)
    assert {(*key, 1, 1) for key in needed} == set(found.table.times)
    assert len(set(rounds)) == 1, "six widths of a weight run the same code: that of float"
    assert len(rounds) == 3
    assert found.refused == ()


def test_integers_are_run_once_at_every_width(run, rounds, tmp_path):
    found = run(tmp_path, provider="integer", space="weights_and_activations")
    menu = {scheme for group in found.record.space.groups for scheme in group.schemes}
    assert len(set(rounds)) == 1 + max(len(group.schemes) for group in found.record.space.groups)
    assert len(menu) > len(set(rounds)) - 1
    assert found.new == len(found.flow.needed(found.record.space))


def test_the_least_of_all_rounds_counts(run, rounds, tmp_path):
    found = run(tmp_path)
    assert rounds
    assert {row.milliseconds for row in found.table.rows} == {laps.PARTS * 1.25}


def test_what_was_timed_is_not_timed_again(run, rounds, tmp_path):
    first = run(tmp_path)
    before = len(rounds)
    again = run(tmp_path)
    assert again.new == 0
    assert again.table == first.table
    named = run(tmp_path, device="elsewhere")
    assert named.new == 0, "it is the same processor, whatever it is called"
    assert named.table == replace(first.table, device="elsewhere")
    assert len(rounds) == before
    assert run(tmp_path, batches=(1, 2)).new == len(first.table.rows)
    assert saved_table(Workspace(tmp_path), "host")[1].rows[0].batch in {1, 2}


def test_what_is_timed_again_keeps_the_shorter_times(run, rounds, tmp_path, monkeypatch):
    first = run(tmp_path)
    before = len(rounds)
    monkeypatch.setattr(laps, "shortest", lambda _run, flow: [9.0] * (laps.PARTS * len(flow.steps)))
    slower = run(tmp_path, again=True)
    assert (slower.new, slower.table) == (first.new, first.table)
    monkeypatch.setattr(laps, "shortest", lambda _run, flow: [0.5] * (laps.PARTS * len(flow.steps)))
    faster = run(tmp_path, again=True)
    assert {row.milliseconds for row in faster.table.rows} == {laps.PARTS * 0.5}
    assert len(rounds) == before


def test_more_rounds_are_taken_where_fewer_were(run, rounds, tmp_path):
    first = run(tmp_path)
    more = run(tmp_path, rounds=4)
    assert more.new == first.new
    assert {row.rounds for row in more.table.rows} == {4}
    before = len(rounds)
    fewer = run(tmp_path, rounds=2)
    assert (fewer.new, fewer.table) == (0, more.table)
    assert len(rounds) == before


def test_two_at_once_keep_the_times_of_both(run, rounds, tmp_path, monkeypatch):
    real, others = laps.shortest, []

    def beside(run_model, flow):
        if not others:
            others.append(None)
            others[0] = run(tmp_path, batches=(2,))
        return real(run_model, flow)

    monkeypatch.setattr(laps, "shortest", beside)
    first = run(tmp_path)
    assert {row.batch for row in first.table.rows} == {1, 2}
    assert saved_table(Workspace(tmp_path), "host")[1] == first.table
    assert run(tmp_path, batches=(1, 2)).new == 0
    assert others[0].new == first.new
    assert rounds


def test_other_versions_and_processors_are_timed_anew(run, rounds, tmp_path, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(profile, "cpu_name", lambda: "another")
    again = run(tmp_path)
    assert again.new == first.new
    assert again.table.cpu == "another"
    assert saved_table(Workspace(tmp_path), "host")[1] == again.table
    assert rounds


def test_an_interrupted_run_repeats_no_round(run, rounds, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole").table
    real = laps.shortest

    def cut(run, flow):
        if len(rounds) == before + 2:
            raise KeyboardInterrupt
        return real(run, flow)

    before = len(rounds)
    monkeypatch.setattr(laps, "shortest", cut)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    assert saved_table(Workspace(tmp_path / "cut"), "host") is None
    monkeypatch.setattr(laps, "shortest", real)
    found = run(tmp_path / "cut")
    assert len(rounds) == before + 3, "two of the three rounds were noted"
    assert {row.key for row in found.table.rows} == {row.key for row in whole.rows}
    assert not list((tmp_path / "cut" / "ledgers").glob("*")), "nothing is left of the notes"


def test_the_float_model_says_what_it_does_not_run(run, rounds, tmp_path):
    found = run(tmp_path, provider="float")
    assert all(row.scheme == "float" for row in found.table.rows)
    assert "the float model runs nothing at W2s/channel" in found.refused
    line = timelines(found)[0]
    assert all(row.times == {} and row.bound is None for row in line.layers)
    with pytest.raises(Unsupported, match=r"has no time for .* at W2s/channel.*mpsearch profile"):
        latency(found.record.space, found.flow, found.table)
    assert rounds


def test_a_shipped_device_is_predicted_not_timed(run, rounds, tmp_path):
    found = run(tmp_path, device="zen5", threads=(1, 2))
    assert rounds == []
    assert found.new == 0
    assert found.table.origin == "predicted"
    assert [line.threads for line in timelines(found)] == [1, 2]


def test_a_device_in_a_toml_file_is_predicted_too(run, rounds, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(shipped()["zen5"].read_text())
    found = run(tmp_path, device=str(own))
    assert rounds == []
    assert (found.new, found.table.origin) == (0, "predicted")


@pytest.mark.parametrize("plan", [{"batches": (0,)}, {"batches": ()}, {"threads": (-1,)},
                                  {"rounds": 0}])
def test_a_plan_without_sense_is_refused(plan):
    with pytest.raises(BadInput):
        ProfilePlan(**plan)
    with pytest.raises(UnknownName, match="unknown provider 'magic'"):
        ProfilePlan(provider="magic")


def test_a_timeline_shares_out_the_whole(run, rounds, tmp_path):
    found = run(tmp_path)
    line = timeline(found.record.space, found.flow, found.table, batch=1, threads=1)
    assert [row.layer for row in line.layers] == [
        spec.name for spec in found.record.space.layers if spec.kind != "matmul"]
    times = found.table.times
    whole = sum(min(row.times.values()) for row in line.layers) + sum(
        times[piece.operation, piece.shape, "float", 1, 1]
        for _, piece in found.flow.pieces(found.record.space) if not piece.layer)
    assert line.fastest == pytest.approx(whole)
    assert all(row.undecided for row in line.layers), "fake quantization runs floats"
    assert sum(row.runs for row in line.others) + len(line.layers) == len(found.flow.steps)
    assert rounds
