"""Where measured products live."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.workspace import FileLedger, Workspace, digest

TABLE = ScoreTable(metric="kl_probe", unit="nats", groups=("a", "b"),
                   values=((0.1, 1e-300), (1 / 3, 0.0)))
ROWS = [[0.1, 1 / 3], [1e-300, 5.0]]
numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "products")


def test_a_product_comes_back_as_it_was(workspace):
    workspace.save("tables", "key", TABLE)
    assert workspace.load("tables", "key", ScoreTable) == TABLE


def test_what_was_never_saved_is_none_and_makes_no_folder(workspace):
    assert workspace.load("tables", "key", ScoreTable) is None
    assert not workspace.root.exists()


def test_kinds_and_keys_are_apart(workspace):
    workspace.save("tables", "key", TABLE)
    assert workspace.load("tables", "other", ScoreTable) is None
    assert workspace.load("studies", "key", ScoreTable) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"metric": 3}', b"\xff\xfe\0",
                                     b'{"of": "an earlier version"}'])
def test_a_damaged_product_counts_as_never_finished(workspace, content):
    workspace.save("tables", "key", TABLE)
    (workspace.root / "tables" / "key.json").write_bytes(content)
    assert workspace.load("tables", "key", ScoreTable) is None


def test_the_same_product_has_the_same_bytes_and_no_temporary_file_stays(workspace):
    workspace.save("tables", "one", TABLE)
    workspace.save("tables", "two", TABLE)
    one, two = sorted((workspace.root / "tables").iterdir())
    assert one.read_bytes() == two.read_bytes()
    assert [one.name, two.name] == ["one.json", "two.json"]


def test_what_is_extended_under_a_lock_loses_nothing(workspace):
    def add(own):
        for turn in range(5):
            with workspace.locked("lists", "key"):
                found = workspace.load("lists", "key", list) or []
                workspace.save("lists", "key", [*found, [own, turn]])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert sorted(workspace.load("lists", "key", list)) == [[a, b] for a in range(4)
                                                            for b in range(5)]


def test_a_workspace_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    workspace = Workspace(tmp_path / "file")
    with pytest.raises(BadInput, match=r"cannot write .*file.*: choose a place"):
        workspace.save("tables", "key", TABLE)
    with pytest.raises(BadInput, match=r"cannot (read|write) .*file"):
        workspace.ledger("key").put("unit", ROWS)


def test_digests_tell_values_apart_and_not_their_order():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"a": 1, "b": [2, 3]})
    different = [{"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": None}, {}]
    assert len({digest(value) for value in different}) == len(different)
    assert digest(TABLE) == digest(TABLE)


def test_a_ledger_keeps_units_over_a_restart(workspace):
    ledger = workspace.ledger("key")
    assert ledger.resumed == 0
    assert ledger.get("0/a") is None
    ledger.put("0/a", ROWS)
    ledger.put("0/b", [[1.0]])
    assert ledger.get("0/a") == ROWS
    again = workspace.ledger("key")
    assert again.resumed == 2
    assert again.get("0/a") == ROWS
    assert again.get("0/c") is None


@given(rows=st.lists(st.lists(numbers, max_size=5), max_size=5))
def test_numbers_come_back_exactly(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "key.jsonl"
    FileLedger(path).put("unit", rows)
    assert FileLedger(path).get("unit") == rows


def test_ledgers_of_other_keys_are_apart(workspace):
    workspace.ledger("one").put("unit", ROWS)
    assert workspace.ledger("two").get("unit") is None


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_short_is_dropped_and_can_be_written_again(workspace, cut):
    ledger = workspace.ledger("key")
    ledger.put("first", ROWS)
    whole = (workspace.root / "ledgers" / "key.jsonl").stat().st_size
    ledger.put("second", ROWS)
    path = workspace.root / "ledgers" / "key.jsonl"
    os.truncate(path, path.stat().st_size - cut)
    again = workspace.ledger("key")
    assert again.resumed == 1
    assert again.get("second") is None
    assert path.stat().st_size == whole
    again.put("second", ROWS)
    assert workspace.ledger("key").resumed == 2


@pytest.mark.parametrize("line", [b"\0\0\0\0\0\0", b"\xff\xff", b"{}", b"[]", b"3",
                                  b'{"unit": "x"}'])
def test_a_line_that_says_nothing_costs_only_itself(workspace, line):
    workspace.ledger("key").put("first", ROWS)
    path = workspace.root / "ledgers" / "key.jsonl"
    content = path.read_bytes()
    path.write_bytes(line + b"\n" + content)
    ledger = workspace.ledger("key")
    assert ledger.get("first") == ROWS
    assert ledger.resumed == 1


def test_every_unit_is_on_disk_when_put_returns(workspace, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    ledger = workspace.ledger("key")
    for number in range(3):
        ledger.put(str(number), ROWS)
        lines = (workspace.root / "ledgers" / "key.jsonl").read_bytes().splitlines()
        assert json.loads(lines[-1])["unit"] == str(number)
        assert len(lines) == len(synced) == number + 1


def test_a_closed_ledger_is_gone(workspace):
    ledger = workspace.ledger("key")
    ledger.close()
    ledger.put("unit", ROWS)
    ledger.close()
    assert workspace.ledger("key").resumed == 0
    assert list((workspace.root / "ledgers").iterdir()) == []
