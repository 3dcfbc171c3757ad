"""Workers in processes of their own: over a journal, a proxy, and a database server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mpsearch.nas.record import records
from mpsearch.nas.storage import storage_of

WORKER = Path(__file__).with_name("worker.py")
TRIALS, PAUSE = 14, 0.08
PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/libexec"])


@pytest.fixture
def start(tmp_path, root):
    """Start a process of the project; those that are left at the end are killed."""
    begun = []
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}

    def started(*args):
        process = subprocess.Popen([sys.executable, *map(str, args)], cwd=tmp_path, env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        return process

    yield started
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def work(start, tmp_path):
    """Start so many workers on a storage; the log is of what they measure."""
    def workers(place, count):
        return [start(WORKER, place, "s", TRIALS, PAUSE, tmp_path / "log", count)
                for _ in range(count)]
    return workers


def lines(tmp_path):
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


def ended(processes, *, quiet=True):
    """All of them ended well; where a server went away, Optuna may have said so."""
    for process in processes:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert not (quiet and said)


def kill_one(processes, tmp_path):
    """Kill the worker that began to measure last, once some trials were measured."""
    wait_for_some(tmp_path)
    victim = int(lines(tmp_path)[-1].split()[0])
    os.kill(victim, signal.SIGKILL)
    return [process for process in processes if process.pid != victim]


def require_each_once(place, tmp_path, killed):
    """Every ticket has one result, every choice was measured once, but for the killed one's."""
    trials = optuna.load_study(storage=storage_of(place), study_name="s").trials
    found = records(trials)
    assert [each.ticket for each in found] == list(range(TRIALS))
    assert all(each.complete for each in found)
    assert len({each.choice for each in found}) == TRIALS
    measured = Counter(line.split(" ", 1)[1] for line in lines(tmp_path))
    assert set(measured) == {str(each.choice) for each in found}
    assert sum(measured.values()) <= TRIALS + killed
    void = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert len(void) <= killed
    assert len({trial.user_attrs["worker"] for trial in trials}) > 1


def test_four_workers_over_a_journal_one_of_them_killed(work, tmp_path):
    place = f"journal:{tmp_path}/study.log"
    ended(kill_one(work(place, 4), tmp_path))
    require_each_once(place, tmp_path, killed=1)


def wait_for_some(tmp_path):
    """Until some trials were measured."""
    until = time.monotonic() + 60
    while len(lines(tmp_path)) < 4 and time.monotonic() < until:
        time.sleep(0.01)


def test_two_workers_over_a_proxy_which_is_killed_and_started_again(work, start, root, tmp_path):
    pytest.importorskip("grpc", reason="gRPC is not installed: pip install 'mpsearch[distributed]'")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    served = f"sqlite:///{tmp_path}/study.db"
    place = f"grpc://localhost:{port}"

    def serve():
        server = start(root / "cli.py", "serve-storage", "--storage", served, "--port", port)
        assert server.stdout.readline() == f"serving {served} at {place}\n"
        return server

    server = serve()
    processes = work(place, 2)
    wait_for_some(tmp_path)
    server.kill()
    server = serve()
    ended(processes, quiet=False)
    require_each_once(place, tmp_path, killed=2)
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=30) == ("", "")
    assert server.returncode == 0
    require_each_once(served, tmp_path, killed=2)


def test_two_workers_over_postgresql_which_restarts(work, tmp_path):
    pytest.importorskip("psycopg", reason="psycopg is not installed: "
                                          "pip install 'mpsearch[distributed]'")
    with postgresql() as server:
        processes = work(server.url, 2)
        wait_for_some(tmp_path)
        server.stop()
        server.start()
        ended(processes, quiet=False)
        require_each_once(server.url, tmp_path, killed=2)


def test_two_workers_over_mariadb_which_restarts(work, tmp_path):
    pytest.importorskip("pymysql", reason="PyMySQL is not installed: "
                                          "pip install 'mpsearch[distributed]'")
    with mariadb() as server:
        processes = work(server.url, 2)
        wait_for_some(tmp_path)
        server.stop()
        server.start()
        ended(processes, quiet=False)
        require_each_once(server.url, tmp_path, killed=2)


class MariaDB:
    """A MariaDB of this test alone, in *folder*, as *user*."""

    def __init__(self, folder, user):
        self._folder, self._user, self._process = folder, user, None
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            self._port = probe.getsockname()[1]
        self.url = f"mysql://root@127.0.0.1:{self._port}/study"

    def make(self):
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self._folder}/data",
                        "--auth-root-authentication-method=normal"], check=True, timeout=60,
                       user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self._folder / "first.sql").write_text("CREATE DATABASE IF NOT EXISTS study;\n")

    def start(self):
        self._process = subprocess.Popen(
            [shutil.which("mariadbd", path=PATHS), "--no-defaults",
             f"--datadir={self._folder}/data", f"--socket={self._folder}/socket",
             f"--port={self._port}", "--bind-address=127.0.0.1",
             f"--init-file={self._folder}/first.sql"], user=self._user,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(
                    ("127.0.0.1", self._port), timeout=5):
                return
            time.sleep(0.05)
        pytest.skip("MariaDB does not start here")

    def stop(self):
        self._process.kill()
        self._process.wait()


@contextmanager
def mariadb():
    """A server that runs."""
    if shutil.which("mariadbd", path=PATHS) is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("MariaDB is not installed: no mariadbd")
    with lent_folder() as (folder, user):
        server = MariaDB(folder, user)
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop()


class Server:
    """A PostgreSQL of this test alone, in *folder*, as *user*."""

    def __init__(self, binaries, folder, user):
        self._binaries, self._folder, self._user = binaries, folder, user
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgresql://tester@localhost:{self._port}/postgres"

    def run(self, name, *args):
        subprocess.run([self._binaries / name, *args], check=True, cwd=self._folder, timeout=60,
                       user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def make(self):
        self.run("initdb", "-D", self._folder / "data", "-U", "tester", "-A", "trust", "--no-sync")

    def start(self):
        options = f"-F -p {self._port} -k {self._folder} -c listen_addresses=localhost"
        self.run("pg_ctl", "-D", self._folder / "data", "-w", "-o", options, "-l",
                 self._folder / "log", "start")

    def stop(self):
        self.run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop")


@contextmanager
def lent_folder():
    """A folder for a server that refuses to be root, who lends it to somebody else."""
    user = None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            user = "nobody"
            shutil.chown(folder, user)
        yield Path(folder), user


@contextmanager
def postgresql():
    """A server that runs."""
    place = shutil.which("initdb") or next(
        iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
    if place is None:
        pytest.skip("PostgreSQL is not installed: no initdb")
    with lent_folder() as (folder, user):
        server = Server(Path(place).resolve().parent, folder, user)
        try:
            server.make()
            server.start()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"PostgreSQL does not start here: {error}")
        try:
            yield server
        finally:
            server.stop()
