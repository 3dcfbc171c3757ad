"""Outputs and workspaces that cannot be written, and disks that are full."""

import contextlib
import errno
import os

import pytest

ALLOCATE = ("allocate", "--budget", "5bpw", "--no-verify")


@pytest.fixture
def full_disk(monkeypatch):
    """A time in which nothing reaches the disk."""

    def refuse(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextlib.contextmanager
    def full():
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuse)
            yield

    return full


@pytest.fixture
def cleared(user):
    """The user's folder, its workspace in place, without what was written beside it."""
    for path in user.glob("policy.*"):
        path.unlink()
    return user


def test_an_output_below_a_file(refused, cleared, mine):
    line = refused(*ALLOCATE, *mine, "--output", "mine.py/policy.json", cwd=cleared)
    assert "mine.py/policy.json" in line
    assert (cleared / "mine.py").is_file()


def test_an_output_that_is_a_folder(refused, cleared, mine):
    (cleared / "taken").mkdir()
    assert "taken" in refused(*ALLOCATE, *mine, "--output", "taken", cwd=cleared)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a /proc")  # noqa: PTH112
def test_an_output_where_not_even_root_may_write(refused, cleared, mine):
    line = refused(*ALLOCATE, *mine, "--output", "/proc/policy.json", cwd=cleared)
    assert "/proc/policy.json" in line
    assert "choose a place" in line


def test_an_output_that_cannot_be_is_refused_before_anything_is_measured(refused, tmp_path):
    """Not after minutes of work."""
    (tmp_path / "file").touch()
    assert "file/policy.json" in refused("allocate", "--budget", "5bpw", "--output",
                                         "file/policy.json", cwd=tmp_path)
    assert not (tmp_path / ".mpsearch" / "tables").exists()


@pytest.mark.parametrize("command", [("measure",), ("allocate", "-b", "5bpw"), ("pareto",)])
def test_a_workspace_that_cannot_be(refused, cleared, mine, command):
    options = mine[:4]
    line = refused(*command, *options, "--workspace", "mine.py", cwd=cleared, workspace="mine.py")
    assert "mine.py" in line
    assert "choose a place" in line


def test_a_full_disk_under_the_output(refused, cleared, mine, full_disk):
    with full_disk():
        line = refused(*ALLOCATE, *mine, cwd=cleared)
    assert "policy.json" in line
    assert "free some space" in line


def test_a_full_disk_keeps_the_policy_that_was_there(refused, user, mine, full_disk):
    before = (user / "policy.json").read_bytes()
    with full_disk():
        refused("allocate", "--budget", "4bpw", "--no-verify", *mine, cwd=user)
    assert (user / "policy.json").read_bytes() == before


def test_a_full_disk_under_the_workspace(refused, tool, cleared, full_disk):
    fresh = ("measure", "--workspace", "fresh", "--model", "mine.py:model", "--data",
             "mine.py:data")
    with full_disk():
        assert "free some space" in refused(*fresh, cwd=cleared, workspace="fresh")
    assert tool(*fresh, cwd=cleared).code == 0, "and works once there is room"
