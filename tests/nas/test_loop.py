"""A whole search: better than where it began, repeatable, resumable, and it survives failures."""

from dataclasses import replace

import numpy as np
import pytest
from optuna.trial import TrialState

from mpsearch.core.errors import BadInput, Infeasible, UnknownName
from mpsearch.nas.importance import shares
from mpsearch.nas.loop import Worker
from mpsearch.nas.race import Race, Rungs, best_of
from mpsearch.nas.record import arrays, records
from mpsearch.nas.samplers import MAKERS, maker
from mpsearch.nas.schedules import schedule, seeded
from mpsearch.nas.storage import storage_of
from mpsearch.nas.study import opened
from mpsearch.nas.task import Outcome, Task

RUNGS = Rungs(first=16, last=128)


def run(task, trials, *, storage="memory", rungs=RUNGS, sampler="loop", **more):
    study = opened(storage_of(storage), "s", identity="one", directions=task.directions,
                   starts=task.starts, trials=trials,
                   sampler=seeded(sampler, task.landscape, task.seed),
                   pruner=Race() if rungs else None)
    Worker(study=study, task=task, rungs=rungs, proposals=schedule(sampler), **more).run()
    return study


def told(study):
    return [(each.ticket, each.origin, each.choice, each.samples)
            for each in records(study.trials)]


@pytest.fixture(scope="module")
def searched(net, task_of):
    """The records of a search of thirty trials, and the choices it measured in order."""
    measured = []
    return records(run(task_of(net, measured=measured), 30).trials), measured


def test_a_search_ends_better_than_it_began_and_never_beyond_the_budget(net, searched):
    found, measured = searched
    assert [each.ticket for each in found] == list(range(30))
    assert len(set(measured)) == len(measured) == 30
    assert all(net.landscape.problem.meets(each.choice) for each in found)
    best = best_of(found)
    assert net.loss(best.choice) < 0.97 * net.loss(found[0].choice)
    assert all(best.loss <= each.loss for each in found[:3])
    assert {each.origin for each in found} >= {"allocated", "refit", "thompson", "improvement"}


def test_the_same_seed_gives_the_same_study_and_another_seed_another(net, task_of):
    first, again = (told(run(task_of(net), 12)) for _ in range(2))
    assert first == again
    assert told(run(task_of(net, seed=1), 12)) != first


def test_an_interrupted_search_resumes_to_the_same_end(net, task_of, tmp_path):
    whole = told(run(task_of(net), 14))

    def interrupt(record):
        if record.ticket == 8:
            raise KeyboardInterrupt

    place = f"journal:{tmp_path / 'study.log'}"
    with pytest.raises(KeyboardInterrupt):
        run(task_of(net), 14, storage=place, told=interrupt)
    study = run(task_of(net), 14, storage=place)
    assert told(study) == whole


def test_one_interrupted_while_it_measures_does_so_too(net, task_of, tmp_path):
    task = task_of(net)
    whole = told(run(task, 14))
    calls = []

    def measure(choice, go_on):
        calls.append(choice)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return task.measure(choice, go_on)

    place = f"journal:{tmp_path / 'study.log'}"
    with pytest.raises(KeyboardInterrupt):
        run(task_of(net, measure=measure), 14, storage=place)
    study = run(task, 14, storage=place)
    assert [each for each in told(study) if each[3]] == whole
    assert sum(trial.state == TrialState.FAIL for trial in study.trials) == 1


def test_more_trials_go_on_where_fewer_ended(net, task_of, tmp_path):
    place = f"journal:{tmp_path / 'study.log'}"
    run(task_of(net), 8, storage=place)
    assert told(run(task_of(net), 14, storage=place)) == told(run(task_of(net), 14))


def test_a_loss_that_is_no_number_fails_its_trial_and_no_other(net, task_of):
    task = task_of(net)

    def measure(choice, go_on):
        if choice == task.starts[1][1]:
            return Outcome(samples=(float("nan"),) * 4)
        return task.measure(choice, go_on)

    study = run(task_of(net, measure=measure), 8)
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert [trial.user_attrs["reason"] for trial in failed] == [
        "the measured loss is not a finite number"]
    assert sum(trial.state.is_finished() for trial in study.trials) == 8


def test_hopeless_trials_end_early_and_good_ones_do_not(net, searched):
    found, _ = searched
    ended = [each for each in found if each.state == TrialState.PRUNED]
    assert ended
    assert all(each.ticket >= 3 for each in ended)  # what it begins with is measured whole
    best = best_of(found)
    assert all(net.loss(each.choice) > net.loss(best.choice) for each in ended)
    choices, losses = arrays(found)
    wanted = np.array([net.loss(choice) for choice in choices])
    assert np.corrcoef(np.log(losses), np.log(wanted))[0, 1] > 0.95


def test_a_race_rarely_ends_what_is_as_good():
    rng, race = np.random.default_rng(0), Race(level=0.02)
    best = rng.lognormal(0, 1, 256)
    ended = [any(race.behind(other[:end], best) for end in (32, 64, 128, 192))
             for other in (best * np.exp(rng.normal(0, 0.3, 256) - 0.045) for _ in range(400))]
    assert np.mean(ended) < 0.05
    assert race.behind(best * 1.5, best)
    assert not race.behind(best[:1] * 2, best)


def test_rungs_double_and_the_last_sample_is_none():
    rungs = Rungs(first=16, last=128)
    reached = [now for before, now in zip(range(0, 128, 16), range(16, 144, 16), strict=True)
               if rungs.reached(before, now)]
    assert reached == [16, 32, 64]


@pytest.mark.parametrize("sampler", sorted(MAKERS))
def test_samplers_of_the_raw_space_repeat_and_may_break_the_budget(net, task_of, sampler):
    first, again = (told(run(task_of(net), 12, sampler=sampler, rungs=None)) for _ in range(2))
    assert first == again
    assert {origin for _, origin, _, _ in first} == {"allocated", "uniform W2", "uniform W3", "raw"}


@pytest.mark.parametrize("objectives", [("loss",), ("loss", "size")])
@pytest.mark.parametrize(("sampler", "origin"), [("linas", "linas"), ("swaps", "swap")])
def test_baselines_with_a_budget_repeat_and_keep_to_it(net, task_of, sampler, origin, objectives):
    first, again = (told(run(task_of(net, objectives=objectives), 27, sampler=sampler, rungs=None))
                    for _ in range(2))
    assert first == again
    assert all(net.landscape.problem.meets(choice) for _, _, choice, _ in first)
    assert {each for _, each, _, _ in first[3:]} == {origin}
    assert len({choice for _, _, choice, _ in first}) == 27


def test_several_objectives_give_a_front(net, task_of):
    study = run(task_of(net, objectives=("loss", "size")), 24, rungs=None)
    found = records(study.trials)
    assert all(len(each.values) == 2 for each in found)
    sizes = {each.values[1] for each in found}
    assert len(sizes) > 6
    assert all(each.values[1] == net.landscape.problem.cost(0, each.choice) for each in found)
    assert len(study.best_trials) > 1


def test_a_space_that_is_used_up_fails_in_words(task_of):
    from types import SimpleNamespace

    from mpsearch import plugins
    from mpsearch.allocation.problem import Problem
    from mpsearch.nas.landscape import Landscape, Unit

    problem = Problem(losses=(np.array([1.0, 0.5]),), costs=((np.array([1.0, 2.0]),),),
                      limits=(2.0,), metrics=("size",))
    tiny = SimpleNamespace(groups=1, loss=lambda choice: 1.0 - 0.5 * choice[0], landscape=Landscape(
        problem=problem, units=(Unit(name="all", groups=(0,)),),
        allocate=plugins.load("allocator", "ilp")()))
    starts = (("allocated", (1,)), ("uniform W2", (0,)))
    study = run(task_of(tiny, starts=starts), 3)
    assert study.trials[2].user_attrs["reason"].startswith("there is no choice within the limits")


def test_what_decides_is_named_first(net, searched):
    found, _ = searched
    choices, losses = arrays(found)
    got = shares(net.landscape, choices, losses, best_of(found).choice)
    assert sum(got.values()) == pytest.approx(1.0)
    assert list(got.values()) == sorted(got.values(), reverse=True)
    assert set(got) == set(net.landscape.problem.groups)


def test_a_scheme_that_nobody_would_take_decides_nothing(net, searched):
    """A group may have one scheme that ruins all, such as to be left out."""
    found, _ = searched
    choices, losses = arrays(found)
    best, problem = best_of(found).choice, net.landscape.problem
    group = 3
    ruined = tuple(np.append(row, 100.0 if number == group else row[0])
                   for number, row in enumerate(problem.losses))
    free = tuple(tuple(np.append(row, 0.0) for row in rows) for rows in problem.costs)
    wide = replace(net.landscape, problem=replace(problem, losses=ruined, costs=free))
    name = problem.groups[group]
    without = shares(net.landscape, choices, losses, best)[name]
    assert shares(wide, choices, losses, best)[name] < max(2 * abs(without), 0.2)


def test_unknown_names_are_refused(net, task_of):
    with pytest.raises(UnknownName, match="sampler"):
        maker("annealing")
    with pytest.raises(BadInput, match="no objective"):
        task_of(net, objectives=("beauty",))
    with pytest.raises(BadInput, match="several different"):
        task_of(net, objectives=())
    with pytest.raises(Infeasible):
        net.landscape.allocate(net.landscape.problem.limited(0, 0.0))
    assert Task.__doc__


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_a_population_begins_with_what_the_search_began_with(net, task_of, sampler):
    study = run(task_of(net), 30, sampler=sampler, rungs=None)
    assert len(study.sampler.infer_relative_search_space(study, study.trials[-1])) == net.groups
    late = [each for each in records(study.trials) if each.ticket >= 24]
    population = np.array([each.choice for each in records(study.trials) if each.ticket < 24])
    inherited = [(population == each.choice).any(0).mean() for each in late]
    assert np.mean(inherited) > 0.8
