"""The JSON door: what goes in comes out, a bad file is one line, a failed write leaves nothing."""

import errno
import json
import os
import stat
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy, ScoreTable, StaticRange

TABLE = ScoreTable(metric="size", unit="bits", groups=("a", "b"), values=((1.0, 2.5), (3.0,)))


def edited(policy, **changes):
    return json.dumps({**io.to_data(policy), **changes}).encode()


@given(data=st.data())
def test_policies_come_back_as_they_were(policies, data):
    policy = data.draw(policies)
    content = io.dumps(policy)
    back = io.loads(content, Policy, where="memory")
    assert back == policy
    assert list(back.layers) == list(policy.layers)
    assert io.dumps(back) == content


@given(data=st.data())
def test_compact_and_readable_hold_the_same(policies, data):
    policy = data.draw(policies)
    compact = io.dumps(policy, compact=True)
    assert compact.count(b"\n") == 1
    assert json.loads(compact) == json.loads(io.dumps(policy))


@given(values=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4)))
def test_tables_keep_every_digit(values):
    table = ScoreTable(metric="loss", unit="nats", groups=tuple(map(str, range(len(values)))),
                       values=tuple(map(tuple, values)))
    assert io.loads(io.dumps(table), ScoreTable, where="memory") == table


def test_a_saved_file_is_readable_and_names_its_schema(policy, tmp_path):
    path = tmp_path / "new" / "folder" / "policy.json"
    policy.save(str(path))
    assert Policy.load(str(path)) == policy
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["$schema"] == io.SCHEMA_NAME
    assert text.endswith("}\n")
    assert "\n  " in text


def test_saving_twice_gives_the_same_bytes(policy, tmp_path):
    policy.save(str(tmp_path / "one"))
    policy.save(str(tmp_path / "two"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_names_in_any_script_stay_readable(policy, tmp_path):
    named = replace(policy, provenance={"who": "Žofie 数"})
    named.save(str(tmp_path / "p"))
    assert "Žofie 数" in (tmp_path / "p").read_text(encoding="utf-8")


def test_a_saved_file_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        io.save(tmp_path / "table", TABLE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "table").stat().st_mode) == 0o640


@given(cut=st.integers(0, 10_000))
def test_a_truncated_policy_is_refused(policy, cut):
    content = io.dumps(policy).rstrip()
    with pytest.raises(BadInput, match="not complete JSON"):
        io.loads(content[:cut % len(content)], Policy, where="cut.json")


@pytest.mark.parametrize("content", [
    b"", b"\xff\xfe", b"NaN", b'{"version": 1, "layers": Infinity}', b"[" * 100_000,
    b"1" * 5000 + b"]",
])
def test_what_is_not_json_is_refused(content):
    with pytest.raises(BadInput, match=r"here\.json is not complete JSON"):
        io.loads(content, Policy, where="here.json")


@pytest.mark.parametrize("content", [
    b"null", b"3", b"[]", b"{}", b'{"layers": {}}', b'{"version": 1}',
    b'{"version": 0, "layers": {}}', b'{"version": "1", "layers": {}}',
])
def test_json_that_is_no_policy_is_refused(content):
    with pytest.raises(BadInput, match=r"here\.json is not a policy file"):
        io.loads(content, Policy, where="here.json")


def test_a_later_version_asks_for_an_upgrade(policy):
    with pytest.raises(BadInput, match=r"policy version 2, .* up to 1: upgrade mpsearch"):
        io.loads(edited(policy, version=2, news=True), Policy, where="here.json")


@given(name=st.text(string.ascii_letters, min_size=12, max_size=20))
def test_an_extra_field_is_refused_by_name(policy, name):
    with pytest.raises(BadInput, match=f"not a valid Policy: {name}"):
        io.loads(edited(policy, **{name: 1}), Policy, where="here.json")


@pytest.mark.parametrize(("changes", "place"), [
    ({"layers": []}, "layers"),
    ({"layers": {"fc": {"weight": {"bits": 4, "colour": "red"}}}}, "layers.fc.weight.colour"),
    ({"layers": {"fc": {"weight": {"bits": "many"}}}}, "layers.fc.weight.bits"),
    ({"layers": {"fc": {"weight": {"kind": "flaot", "bits": 4}}}}, "layers.fc.weight"),
    ({"totals": {}}, "totals.weights"),
    ({"model": "resnet"}, "model"),
])
def test_a_wrong_field_is_named(policy, changes, place):
    with pytest.raises(BadInput, match=r"here\.json is not a valid Policy") as caught:
        io.loads(edited(policy, **changes), Policy, where="here.json")
    assert f": {place}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_check_of_the_type_itself_names_the_file(policy):
    layers = {"fc": {"weight": {"bits": 99}}}
    with pytest.raises(BadInput, match=r"here\.json is not a valid Policy: layers\.fc\.weight: the "
                                       "format int has 2 to 16 bits, not 99"):
        io.loads(edited(policy, layers=layers), Policy, where="here.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused(policy, value):
    with pytest.raises(BadInput, match="not finite"):
        io.dumps(replace(policy, totals=replace(policy.totals, predicted_loss=value)))


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*absent\.json: No such file"):
        Policy.load(str(tmp_path / "absent.json"))
    with pytest.raises(BadInput, match="cannot read"):
        Policy.load(str(tmp_path))


def fail_with(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))
    return fail


@pytest.mark.parametrize(("call", "number", "advice"), [
    ("fsync", errno.ENOSPC, "free some space"),
    ("fsync", errno.EDQUOT, "free some space"),
    ("fsync", errno.EIO, "choose a place"),
    ("fdopen", errno.ENOSPC, "free some space"),
])
def test_a_failed_write_keeps_the_old_file_and_nothing_else(
        monkeypatch, tmp_path, call, number, advice):
    target = tmp_path / "table.json"
    target.write_text("old")
    monkeypatch.setattr(os, call, fail_with(number))
    with pytest.raises(BadInput, match=f"cannot write .*table.json.*{advice}"):
        io.save(target, TABLE)
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(monkeypatch, tmp_path):
    def open_full(*_args, **_kwargs):
        return os.open("/dev/full", os.O_WRONLY), str(tmp_path / "half")

    monkeypatch.setattr(io.tempfile, "mkstemp", open_full)
    with pytest.raises(BadInput, match=r"cannot write .*No space left on device: free some space"):
        io.save(tmp_path / "table.json", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing(monkeypatch, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        io.save(tmp_path / "table.json", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*: choose a place you may write to"):
        io.save(blocked / "table.json", TABLE)
    with pytest.raises(BadInput, match="cannot write"):
        io.save(tmp_path, TABLE)
    monkeypatch.setattr(io.tempfile, "mkstemp", lambda **_: fail_with(errno.EACCES)())
    with pytest.raises(BadInput, match="Permission denied: choose a place you may write to"):
        io.save(tmp_path / "table.json", TABLE)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_number_too_large_for_a_float_is_no_scale(policy):
    text = io.dumps(replace(policy, activations={"fc": {"input": StaticRange(
        scale=0.5, zero_point=3)}})).replace(b"0.5", b"1e999")
    with pytest.raises(BadInput, match=r"here\.json.*a finite number above 0, not inf"):
        io.loads(text, Policy, where="here.json")
