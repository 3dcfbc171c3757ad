"""Storages: what a text names, what is said of one that cannot be used, and what is mended."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError, PendingRollbackError, ProgrammingError

from mpsearch.core.errors import BadInput
from mpsearch.nas import patience, storage
from mpsearch.nas.journal import journal, mend
from mpsearch.nas.patience import StorageLost, patient
from mpsearch.nas.places import shown
from mpsearch.nas.storage import storage_of

CLOSED = 1  # a port where nothing listens


def test_a_text_names_a_storage(tmp_path):
    assert isinstance(storage_of("memory"), InMemoryStorage)
    assert isinstance(storage_of(f"journal:{tmp_path}/new/folder/study.log"), JournalStorage)
    made = optuna.create_study(storage=storage_of(f"sqlite:///{tmp_path}/study.db"),
                               study_name="s")
    made.enqueue_trial({})
    again = optuna.load_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="s")
    assert len(again.trials) == 1  # plain Optuna reads it


@pytest.mark.parametrize(("text", "said"), [
    ("cloud", "'cloud' is no storage: use memory, journal:path"),
    ("redis://host", "is no storage"),
    ("journal:", "names no file: write journal:path"),
    ("journal:{tmp}", "names no file"),
    ("journal:{tmp}/words.txt", "words.txt is no journal of Optuna"),
    ("journal:{tmp}/words.txt/study.log", "(Not a directory|File exists)"),
    ("sqlite://", "name a file, as sqlite:///study.db"),
    ("sqlite:///{tmp}/no/folder.db", "unable to open database file"),
    ("sqlite:///{tmp}/words.txt", "file is not a database"),
    ("postgresql://me@localhost", "name a database"),
    ("postgresql+nonsense://me@localhost/db", "nonsense"),
    ("grpc://", "is no proxy: write grpc://host:port"),
    ("grpc://host:many", "is no proxy"),
    ("grpc://host:1/path", "is no proxy"),
])
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "words.txt").write_text("these are words\n" * 400)
    with pytest.raises(BadInput, match=said) as raised:
        storage_of(text.format(tmp=tmp_path))
    assert "\n" not in str(raised.value)
    assert "sqlalche.me" not in str(raised.value)


def test_a_database_of_another_version_is_refused(tmp_path):
    place = f"sqlite:///{tmp_path}/study.db"
    storage_of(place)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("update alembic_version set version_num = 'v9.0.0.z'")
    with pytest.raises(BadInput, match="no longer compatible with the table schema"):
        storage_of(place)


def test_a_server_that_does_not_answer_is_refused_soon(monkeypatch):
    pytest.importorskip("grpc", reason="gRPC is not installed")
    monkeypatch.setattr(storage, "_PATIENCE_S", 0.3)
    with pytest.raises(BadInput, match="nothing answers at grpc://localhost:1 within"):
        storage_of(f"grpc://localhost:{CLOSED}")


def test_a_database_server_that_does_not_answer_is_refused_without_the_password():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(BadInput, match="onnection") as raised:
        storage_of(f"postgresql://me:secret@localhost:{CLOSED}/db")
    assert "secret" not in str(raised.value)
    assert "me:***@localhost" in str(raised.value)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Failed to import DB access module") from ModuleNotFoundError("psycopg")

    monkeypatch.setattr(storage, "database", missing)
    with pytest.raises(BadInput, match=r"not installed .*mpsearch\[distributed\]"):
        storage_of("postgresql://me@localhost/db")


def test_passwords_are_not_shown():
    assert shown("postgresql://me:se@cret@host/db") == "postgresql://me:***@host/db"
    assert shown("sqlite:///a@b:c@d.db") == "sqlite:///a@b:c@d.db"


def take(place, barrier, taken):
    """Take whatever waits, beginning together with the others."""
    study = optuna.load_study(storage=storage_of(place), study_name="s")
    waits = study.get_trials(deepcopy=False)
    barrier.wait()
    for trial in waits:
        try:
            if study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                taken.append(trial.number)
        except UpdateFinishedTrialError:
            pass


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_one_alone_takes_a_trial_that_waits(tmp_path, kind):
    place = {"journal": f"journal:{tmp_path}/study.log",
             "sqlite": f"sqlite:///{tmp_path}/study.db"}[kind]
    study = optuna.create_study(storage=storage_of(place), study_name="s")
    for _ in range(12):
        study.enqueue_trial({})
    barrier, taken = Barrier(3), []
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: take(place, barrier, taken), range(3)))
    assert sorted(taken) == list(range(12))


def test_a_line_that_was_not_written_out_is_cut_off(tmp_path):
    place = tmp_path / "study.log"
    study = optuna.create_study(storage=journal(place), study_name="s")
    study.set_user_attr("one", 1)
    whole = place.read_bytes()
    for torn in (b'{"op_code": 2, "worker', b"x" * 10_000):
        place.write_bytes(whole + torn)
        study = optuna.load_study(storage=journal(place), study_name="s")
        study.set_user_attr("two", 2)
        assert optuna.load_study(storage=journal(place), study_name="s").user_attrs == {
            "one": 1, "two": 2}
        assert place.read_bytes().startswith(whole)


@pytest.mark.parametrize("text", [b"", b"\n", b"a\n", b"a\nb\n" * 3000])
def test_whole_lines_stay(tmp_path, text):
    place = tmp_path / "lines"
    place.write_bytes(text)
    mend(place)
    assert place.read_bytes() == text
    place.write_bytes(text + b"torn" * 2000)
    mend(place)
    assert place.read_bytes() == text


@pytest.mark.filterwarnings("ignore:The value of `grace_period`")
def test_a_lock_that_a_dead_worker_left_is_broken_by_relative_paths_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    kept = journal(Path("deep/study.log"), grace_s=1)
    kept._backend._lock.acquire()  # and its holder is no more
    assert Path("deep/study.log.lock").stat().st_size == 0  # the link leads to the journal
    study = optuna.create_study(storage=journal(Path("deep/study.log"), grace_s=1),
                                study_name="s")
    study.set_user_attr("one", 1)
    assert not Path("deep/study.log.lock").exists()


def test_plain_optuna_waits_for_the_same_lock(tmp_path):
    kept = journal(tmp_path / "study.log")
    plain = JournalFileBackend(str(tmp_path / "study.log"))
    assert isinstance(plain._lock, JournalFileSymlinkLock)
    assert plain._lock._lock_file == kept._backend._lock._lock_file


def away(times, error):
    """A storage whose studies cannot be listed so many times."""
    kept, left = InMemoryStorage(), [times]
    real = kept.get_all_studies

    def failing():
        if left[0]:
            left[0] -= 1
            raise error
        return real()

    kept.get_all_studies = failing
    return kept


def lost():
    return OperationalError("select", {}, Exception("server closed the connection"))


def wrapped(error):
    """As Optuna raises what its database raised."""
    found = StorageInternalError("An exception is raised during the commit.")
    found.__cause__ = error
    return found


@pytest.mark.parametrize("error", [
    lost(), wrapped(lost()), wrapped(PendingRollbackError("reconnect after a rollback"))])
def test_a_server_that_is_away_for_a_moment_is_waited_for(error):
    assert patient(away(2, error), pauses=(0, 0)).get_all_studies() == []


def test_a_mistake_of_a_database_is_told_at_once():
    with pytest.raises(StorageLost, match="no such table"):
        patient(away(1, wrapped(ProgrammingError("select", {}, Exception("no such table")))),
                pauses=(0,)).get_all_studies()


def test_one_that_stays_away_is_lost_in_one_line():
    with pytest.raises(StorageLost, match=r"^the storage was lost: server closed the connection; "
                                          "the same command goes on"):
        patient(away(3, lost()), pauses=(0, 0)).get_all_studies()


def test_other_errors_are_not_tried_again():
    kept = patient(away(1, UpdateFinishedTrialError()), pauses=(0, 0))
    with pytest.raises(UpdateFinishedTrialError):
        kept.get_all_studies()
    assert kept.get_all_studies() == []


def test_a_proxy_that_is_away_is_waited_for_and_one_that_fails_is_not():
    grpc = pytest.importorskip("grpc", reason="gRPC is not installed")

    class Gone(grpc.RpcError):
        def __init__(self, name):
            self._name = name

        def code(self):
            return SimpleNamespace(name=self._name)

        def details(self):
            return "as the server says"

    assert patient(away(2, Gone("UNAVAILABLE")), pauses=(0, 0)).get_all_studies() == []
    with pytest.raises(StorageLost, match="as the server says"):
        patient(away(1, Gone("UNKNOWN")), pauses=(0, 0)).get_all_studies()


def test_half_a_minute_is_waited():
    assert 20 <= sum(patience.PAUSES_S) <= 60
