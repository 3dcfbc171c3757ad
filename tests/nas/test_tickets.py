"""Tickets: each is worked off once, whoever comes together, and whoever dies in between."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import optuna
import pytest
from optuna.trial import TrialState

from mpsearch.core.errors import BadInput
from mpsearch.nas import study as studies
from mpsearch.nas.loop import Worker
from mpsearch.nas.patience import StorageLost
from mpsearch.nas.processes import Process, this_process
from mpsearch.nas.record import TICKET, records
from mpsearch.nas.storage import storage_of
from mpsearch.nas.tickets import (
    DIED,
    TWICE,
    claimed,
    end,
    give_back,
    holders,
    issue,
    orphans,
    reissue,
)
from mpsearch.nas.workers import GRACE_S, Watch, alive, name_of_this


@pytest.fixture(params=["memory", "journal", "sqlite"])
def place(request, tmp_path):
    """A storage of each kind."""
    return storage_of({"memory": "memory", "journal": f"journal:{tmp_path / 'study.log'}",
                       "sqlite": f"sqlite:///{tmp_path / 'study.db'}"}[request.param])


@pytest.fixture
def study(made_up, place):
    return made_up.study_of(place, "s", 4, made_up.task())


def by_ticket(study):
    return {ticket: trial.state.name for ticket, trial in holders(study.trials).items()}


def ran(study, made_up, **more):
    Worker(study=study, task=made_up.task(**more), proposals=made_up.PROPOSALS).run()
    return records(study.trials)


def test_the_least_ticket_comes_first_and_none_comes_twice(study):
    first = claimed(study, "a")
    assert first.user_attrs[TICKET] == 0
    assert give_back(study, study.trials[0], "it was interrupted", "interrupted")
    again = claimed(study, "b")
    assert (again.user_attrs[TICKET], again.number) == (0, 4)
    assert [claimed(study, "b").user_attrs[TICKET] for _ in range(3)] == [1, 2, 3]
    assert claimed(study, "b") is None
    assert len(study.trials) == 5


def test_a_ticket_given_out_twice_counts_once(study):
    late = study.enqueue_trial({}, user_attrs={TICKET: 0})  # as a slow maker would
    study.enqueue_trial({})  # somebody else's
    assert late is None
    assert not issue(study, [1, 2], ())
    taken = [claimed(study, "a") for _ in range(5)]
    assert [trial.user_attrs[TICKET] if trial else None for trial in taken] == [0, 1, 2, 3, None]
    assert Counter(trial.state.name for trial in study.trials) == {"RUNNING": 4, "FAIL": 3}


def test_what_a_dead_worker_left_is_given_out_once_by_however_many_see_it(study):
    claimed(study, "gone")
    left = study.trials[0]
    assert [give_back(study, left, "its worker died", DIED) for _ in range(3)] == [True, False,
                                                                                  False]
    assert by_ticket(study) == dict.fromkeys(range(4), "WAITING")
    assert len(study.trials) == 5


def test_a_ticket_whose_reclaimer_died_is_not_lost(study):
    claimed(study, "gone")
    end(study, study.trials[0], "its worker died", DIED)  # and nothing was enqueued
    now = [0.0]
    watch = Watch(study, "me", clock=lambda: now[0])
    assert watch.busy()
    assert watch.reclaim() == 0  # it may be on its way
    now[0] = 10.0
    assert watch.reclaim() == 1
    assert not orphans(study.trials)
    assert not reissue(study, study.trials[0])  # another one who saw it
    assert by_ticket(study) == dict.fromkeys(range(4), "WAITING")


def test_a_ticket_that_three_workers_died_of_fails(study):
    for _ in range(3):
        trial = claimed(study, "gone")
        assert give_back(study, study.trials[trial.number], "its worker died", DIED)
    assert by_ticket(study)[0] == "FAIL"
    assert study.trials[-1].user_attrs["reason"] == "its worker died, as 2 had before"
    assert not orphans(study.trials)


def test_no_clock_but_ones_own_says_that_a_worker_elsewhere_is_dead(study):
    claimed(study, "elsewhere")
    sign = {"place": "another machine", "pid": 1, "born": "1", "beat": 0}
    study.set_user_attr("mpsearch.beat.elsewhere", sign)
    now = [0.0]
    watch = Watch(study, "me", clock=lambda: now[0])
    for beat in range(3):  # it lives as long as it says something new
        study.set_user_attr("mpsearch.beat.elsewhere", {**sign, "beat": beat})
        assert watch.reclaim() == 0
        now[0] += GRACE_S - 1
    assert watch.reclaim() == 0
    now[0] += 2
    assert watch.reclaim() == 1


def test_a_trial_that_was_taken_and_never_named_is_taken_back(study):
    storage = study._storage
    storage.set_trial_state_values(study.trials[0]._trial_id, TrialState.RUNNING)
    now = [0.0]
    watch = Watch(study, "me", clock=lambda: now[0])
    assert watch.reclaim() == 0
    now[0] = GRACE_S + 1
    assert watch.reclaim() == 1


def test_a_worker_of_this_machine_is_dead_as_soon_as_its_process_is(study):
    claimed(study, "dead")
    ended = {**this_process().data, "born": "0"}  # the number belongs to another process now
    study.set_user_attr("mpsearch.beat.dead", ended)
    assert Watch(study, "me").reclaim() == 1


def test_a_worker_that_left_this_process_is_dead_and_one_in_it_is_not(study):
    name = name_of_this()
    with alive(study, name):
        claimed(study, name)
        assert Watch(study, "me").reclaim() == 0
    assert Watch(study, "me").reclaim() == 1


def test_processes_are_told_apart():
    here = this_process()
    assert here.lives()
    assert not Process(place=here.place, pid=here.pid, born="1").lives()
    assert not Process(place=here.place, pid=2**22 + 1, born="1").lives()
    assert Process.read(here.data) == here
    assert Process.read(None) is None


def test_workers_who_add_trials_at_once_add_each_once(made_up, tmp_path):
    place, work = f"journal:{tmp_path / 'study.log'}", made_up.task()
    made_up.study_of(storage_of(place), "s", 3, work)
    together = Barrier(3)

    def add(_):
        storage = storage_of(place)
        together.wait()
        return made_up.study_of(storage, "s", 9, work)

    with ThreadPoolExecutor(3) as pool:
        study = next(iter(pool.map(add, range(3))))
    assert by_ticket(study) == dict.fromkeys(range(9), "WAITING")
    spare = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert len(spare) <= 2
    assert {trial.user_attrs["void"] for trial in spare} <= {TWICE}


def test_workers_who_make_a_study_at_once_make_one(made_up, tmp_path):
    place, work = f"sqlite:///{tmp_path / 'study.db'}", made_up.task()
    together = Barrier(3)

    def make(_):
        together.wait()
        return made_up.study_of(storage_of(place), "s", 5, work)

    with ThreadPoolExecutor(3) as pool:
        study = next(iter(pool.map(make, range(3))))
    assert by_ticket(study) == dict.fromkeys(range(5), "WAITING")
    assert len(optuna.get_all_study_names(storage=study._storage)) == 1


@pytest.mark.parametrize("steps", range(5))
def test_a_study_whose_maker_died_is_finished_by_the_next(made_up, tmp_path, monkeypatch, steps):
    """The maker dies after so many writes."""
    storage, left = storage_of(f"journal:{tmp_path / 'study.log'}"), [steps]

    def dying(write):
        def written(*args):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return write(*args)
        return written

    with monkeypatch.context() as patch:
        for name in ("set_study_user_attr", "create_new_trial"):
            patch.setattr(storage, name, dying(getattr(storage, name)))
        with pytest.raises(KeyboardInterrupt):
            made_up.study_of(storage, "s", 4, made_up.task())
    monkeypatch.setattr(studies, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(studies, "_STALL_S", 0.2)
    again = storage_of(f"journal:{tmp_path / 'study.log'}")
    study = made_up.study_of(again, "s", 4, made_up.task())
    assert by_ticket(study) == dict.fromkeys(range(4), "WAITING")
    assert [trial.user_attrs.get("origin") for trial in study.trials] == [
        "uniform 2", "uniform 3", None, None]


def test_a_result_that_comes_too_late_is_dropped(made_up, place):
    work, told = made_up.task(), []
    study = made_up.study_of(place, "s", 3, work)

    def slow(choice):
        if len(told) == 1:  # taken for dead while it measures its second trial
            running = next(each for each in study.trials if each.state == TrialState.RUNNING)
            give_back(study, running, "its worker died", DIED)
        told.append(choice)

    found = ran(study, made_up, told=slow)
    assert [each.ticket for each in found] == [0, 1, 2]
    assert all(each.complete for each in found)
    assert len(told) == 4


def test_a_choice_that_two_came_to_at_once_is_measured_once(made_up, monkeypatch):
    """Between proposing and writing it down, another worker writes the same."""
    work = made_up.task()
    study = made_up.study_of(storage_of("memory"), "s", 5, work)
    worker = Worker(study=study, task=work, proposals=made_up.PROPOSALS)
    for _ in range(3):
        worker._one(claimed(study, "me"))
    mine, other = claimed(study, "me"), claimed(study, "other")
    first = worker.proposed(mine)
    other.set_user_attr("choice", ",".join(map(str, first[1])))
    proposals = iter([first])
    real = Worker.proposed
    monkeypatch.setattr(Worker, "proposed", lambda self, trial: next(proposals, None)
                        or real(self, trial))
    assert worker._choice(mine) != first[1]


def test_a_choice_of_a_ticket_that_is_on_its_way_is_not_proposed(made_up):
    """Between the end of a dead worker's trial and the next one of its ticket."""
    work = made_up.task()
    study = made_up.study_of(storage_of("memory"), "s", 5, work)
    worker = Worker(study=study, task=work, proposals=made_up.PROPOSALS)
    for _ in range(3):
        worker._one(claimed(study, "me"))
    gone = claimed(study, "gone")
    choice = worker._choice(gone)
    end(study, study.trials[gone.number], "its worker died", DIED)
    assert worker._choice(claimed(study, "me")) != choice
    assert choice not in {each.choice for each in records(study.trials)}
    reissue(study, study.trials[gone.number])
    assert worker._choice(claimed(study, "me")) == choice


@pytest.mark.parametrize("proposals", ["prices", None])
def test_an_interrupted_study_ends_as_one_that_was_not(made_up, proposals):
    """Prices are chosen by Optuna's sampler, which goes by the numbers of trials before."""
    turns = [each for each in made_up.PROPOSALS if each[0] == (proposals or each[0])]
    stops, count = (set(range(3, 40, 4)), []) if proposals else ({4, 9}, [])

    def stop(_choice):
        count.append(1)
        if len(count) in stops:
            raise KeyboardInterrupt

    def go_on(study, told=lambda _choice: None):
        Worker(study=study, task=made_up.task(told=told), proposals=turns).run()
        return [(each.ticket, each.origin, each.choice, each.samples)
                for each in records(study.trials)]

    trials = 34 if proposals else 12
    whole = go_on(made_up.study_of(storage_of("memory"), "s", trials, made_up.task()))
    study = made_up.study_of(storage_of("memory"), "s", trials, made_up.task())
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            go_on(study, stop)
    assert go_on(study) == whole
    assert len(study.trials) == trials + len(stops)


def test_another_study_of_that_name_is_refused(made_up, place):
    work = made_up.task()
    with pytest.raises(BadInput, match="at least 1 trial"):
        made_up.study_of(place, "s", 0, work)
    made_up.study_of(place, "s", 3, work)
    with pytest.raises(BadInput, match="'s' is about another model, data"):
        made_up.study_of(place, "s", 3, work, identity="something else")
    theirs = optuna.create_study(storage=place, study_name="theirs")
    theirs.enqueue_trial({"x": 1})
    with pytest.raises(BadInput, match="'theirs' has schema none and this search writes 1"):
        made_up.study_of(place, "theirs", 3, work)
    old = optuna.create_study(storage=place, study_name="old")
    old.set_user_attr("mpsearch.study", {"schema": 0, "identity": "made up"})
    with pytest.raises(BadInput, match="'old' has schema 0"):
        made_up.study_of(place, "old", 3, work)


def test_a_lost_storage_ends_the_worker_and_fails_no_trial(made_up):
    def lost(_choice):
        raise StorageLost("the storage was lost")

    study = made_up.study_of(storage_of("memory"), "s", 3, made_up.task())
    with pytest.raises(StorageLost):
        ran(study, made_up, told=lost)
    assert by_ticket(study) == {0: "RUNNING", 1: "WAITING", 2: "WAITING"}
    assert [each.complete for each in ran(study, made_up)] == [True] * 3


def test_what_was_decided_for_a_ticket_stays(made_up, place):
    """The sampler sees the parameters of the trial that went on, not of the void one."""
    prices = [each for each in made_up.PROPOSALS if each[0] == "prices"]
    study = made_up.study_of(place, "s", 3, made_up.task())
    worker = Worker(study=study, task=made_up.task(), proposals=prices)
    for _ in range(2):
        worker._one(claimed(study, "me"))
    trial = claimed(study, "me")
    choice = worker._choice(trial)
    assert give_back(study, study.trials[trial.number], "its worker died", DIED)
    again = claimed(study, "another")
    assert again.params == trial.params
    assert len(again.params) == 7
    assert worker._choice(again) == choice
    assert again.user_attrs["retry_of"] == trial.number


def test_a_joiner_that_looks_while_the_maker_writes_is_let_in(made_up, place):
    task = made_up.task()
    study = made_up.study_of(place, "s", 4, task)
    read, looks = place.get_study_user_attrs, []

    def early(study_id):
        looks.append(study_id)
        return {} if len(looks) == 1 else read(study_id)  # then the maker wrote

    place.get_study_user_attrs = early
    joined = made_up.study_of(place, "s", 4, task)
    assert len(looks) > 1
    assert len(joined.trials) == len(study.trials) == 4
