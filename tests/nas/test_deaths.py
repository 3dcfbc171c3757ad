"""A worker dies before or after any one of its writes: the next one ends the study as it should."""

import itertools

import pytest

from mpsearch.nas import loop, workers
from mpsearch.nas.loop import Worker
from mpsearch.nas.record import records
from mpsearch.nas.storage import storage_of

WRITES = ("set_study_user_attr", "create_new_trial", "set_trial_state_values",
          "set_trial_user_attr", "set_trial_param", "set_trial_intermediate_value")


class KilledError(BaseException):
    """Nothing is written any more, and nothing cleans up."""


def mortal(storage, writes, *, done):
    """Let who uses *storage* die at the write after so many, before or after it is *done*."""
    count = itertools.count()

    def wrapped(write):
        def written(*args, **named):
            at = next(count)
            if at > writes or (at == writes and not done):
                raise KilledError
            answer = write(*args, **named)
            if at == writes:
                raise KilledError
            return answer
        return written

    kept = {name: getattr(storage, name) for name in WRITES}
    for name, write in kept.items():
        setattr(storage, name, wrapped(write))
    return kept


def killed(worker, storage, kept):
    """Whether the worker died; its storage is as before."""
    try:
        worker.run()
    except KilledError:
        return True
    finally:
        for name, write in kept.items():
            setattr(storage, name, write)
    return False


@pytest.mark.parametrize(("done", "second"), [(False, None), (True, None), (False, 3), (True, 3)])
def test_a_worker_may_die_at_any_write(made_up, monkeypatch, done, second):
    """And a second one after so many, while it takes back what the first left."""
    monkeypatch.setattr(workers, "GRACE_S", 0.0)
    monkeypatch.setattr(workers, "_ORPHANED_S", 0.0)
    monkeypatch.setattr(loop, "_IDLE_S", 0.001)
    wanted, died = None, 0
    for writes in itertools.count():
        measured = []
        work = made_up.task(told=measured.append)
        storage = storage_of("memory")
        study = made_up.study_of(storage, "s", 4, work)
        kept = mortal(storage, writes, done=done)
        worker = Worker(study=study, task=work, proposals=made_up.PROPOSALS[-2:])
        died += killed(worker, storage, kept)
        before = len(measured)
        if second is not None and died > writes:
            killed(worker, storage, mortal(storage, second, done=done))
        worker.run()
        found = records(study.trials)
        assert [each.ticket for each in found] == [0, 1, 2, 3], writes
        assert all(each.complete for each in found)
        assert len({each.choice for each in found}) == 4
        assert len(measured) <= 5
        ends = [(each.ticket, each.origin, each.choice, each.samples) for each in found]
        if before == 4 and died < writes:  # the first one came to its end
            assert wanted in (None, ends)
            break
        wanted = wanted or ends
        assert ends == wanted
    assert died > 20
