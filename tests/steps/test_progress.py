"""What the progress of a search says, on a terminal and where there is none."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from mpsearch.nas.record import CHOICE, ORIGIN, SAMPLES, TICKET, packed_choice, packed_samples
from mpsearch.steps.course import Course, Pace
from mpsearch.steps.dominated import dominated
from mpsearch.steps.progress import Lines, Noted, bar, silent

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    step = Lines("searching", 1000, clock)
    for second in range(1000):
        clock.now = float(second)
        step(1, lambda: "best 1")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out
    assert lines[0] == "searching: 31 of 1000, best 1", "none in the first half minute"
    assert 15 < len(lines) < 30
    done = [int(line.split()[1]) for line in lines]
    assert all(30 <= after - before <= 120 for before, after in pairwise(done))


def test_a_log_gets_no_line_of_work_that_has_nothing_to_say(clock, capsys):
    step = Lines("measuring", 3, clock)
    for second in (100, 200, 300):
        clock.now = float(second)
        step(1)
    assert capsys.readouterr() == ("", "")
    with bar("measuring", 2) as shown, silent("measuring", 2) as nothing:
        for each in (shown, nothing):
            each(1)
            each(1, pytest.fail)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_the_note_behind_the_bar_once_a_second(clock):
    said, steps = [], []
    shown = SimpleNamespace(update=steps.append, bar_format=None,
                            set_postfix_str=lambda text, refresh: said.append((text, refresh)))
    step = Noted(shown, clock)
    for tenth in range(25):
        clock.now = tenth / 10
        step(1, lambda: "best 1")
    step(3)
    assert said == [("best 1", False)] * 3
    assert sum(steps) == 28
    assert "{postfix}" in shown.bar_format


def test_the_pace_is_that_of_late(clock):
    pace = Pace(clock)
    assert pace.left(10) is None
    pace.saw(100)
    assert pace.left(10) is None
    for done in range(101, 161):
        clock.now += 10 if done <= 120 else 2
        pace.saw(done)
    assert pace.left(10) == pytest.approx(20)
    clock.now += 2
    pace.saw(170)  # others joined in
    assert pace.left(10) < 16


def study_of(task, losses, *, waiting=0):
    """A study in memory of complete trials with these mean losses, and some that wait."""
    study = optuna.create_study(directions=list(task.directions))
    rng = np.random.default_rng(0)
    for ticket, (choice, loss) in enumerate(losses):
        samples = loss * rng.lognormal(0, 0.1, 64)
        study.add_trial(create_trial(
            state=TrialState.COMPLETE, user_attrs={
                TICKET: ticket, CHOICE: packed_choice(choice), ORIGIN: "made up",
                SAMPLES: packed_samples(samples)},
            values=[float(samples.mean()), *(float(sum(choice)) for _ in task.objectives[1:])]))
    for ticket in range(len(losses), len(losses) + waiting):
        study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={TICKET: ticket}))
    return study


def task_of(*objectives):
    return SimpleNamespace(
        objectives=objectives, directions=("minimize",) * len(objectives), starts=((), ()),
        landscape=SimpleNamespace(problem=SimpleNamespace(meets=lambda choice: sum(choice) < 9)))


def test_the_note_has_the_best_within_the_budget_its_interval_and_the_time_left(clock):
    task, notes = task_of("loss"), []
    study = study_of(task, [((4, 4), 0.2), ((9, 9), 0.1)], waiting=7)
    steps = []

    def step(count, note=None):
        steps.append(count)
        notes.append(note and note())

    course = Course(study, task, step, clock)
    for now, trials in ((500.0, 1), (560.0, 2)):  # one of them another worker's
        clock.now = now
        for _ in range(trials):
            study.tell(study.ask(), 0.3)
        course.told(None)
    assert steps == [2, 1, 2]
    assert "left" not in notes[1]
    text = notes[2]
    assert text.startswith("best 0.2")
    assert "(95 % by bootstrap over samples: 0.19" in text
    assert text.endswith(", 2 min left")


def test_the_note_of_a_front_has_its_hypervolume():
    task = task_of("loss", "size")
    study = study_of(task, [((1, 1), 1.0), ((4, 4), 0.01), ((2, 2), 0.1), ((5, 5), 2.0)])
    notes = []
    course = Course(study, task, lambda _count, note=None: notes.append(note and note()))
    course.told(None)
    assert notes[1].startswith("hypervolume ")
    assert "above its starts" in notes[1]


def test_of_a_front_only_what_nothing_beats_is_kept():
    task = task_of("loss", "size")
    values = [(0.1, 8.0), (1.0, 2.0), (0.5, 9.0), (0.01, 8.0), (0.1, 4.0)]
    found = [SimpleNamespace(values=each, ticket=k) for k, each in enumerate(values)]
    told = dominated(task, found)
    assert told.kept == (1, 3, 4)
    assert told.reference == (0.0, 9.0)
    # Logarithms: 2 to the left of the reference at size 8 and above, 1 from 4 on.
    assert told.hypervolume == pytest.approx(2 * 1 + 1 * 4)
    assert told.started == pytest.approx(1 * 1)
