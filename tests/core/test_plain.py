"""The quick reader says what pydantic says, or leaves the word to it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mpsearch.core import io, plain
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy, ScoreTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str
    value: float = 0.5
    flag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    kind: Literal["other", 2]
    items: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    pair: tuple[int, str]
    rows: tuple[tuple[float, ...], ...]
    by_name: dict[str, Inner]
    either: Inner | Other | None = None
    anything: Any = None


WHOLE = {"pair": [1, "a"], "rows": [[1.0, 2], []], "by_name": {"x": {"name": "n", "value": 3}},
         "either": {"kind": 2, "items": [4]}, "anything": {"deep": [None, True]}}
SCRAPS = st.sampled_from([None, True, 0, 1.5, "1", "", [], {}, [1], ["a", 1], {"name": "n"},
                          {"name": 1}, {"name": "n", "new": 0}, {"kind": "other", "items": [1.0]}])


def places(data, path=()):
    yield path
    inside = data.items() if isinstance(data, dict) else (
        enumerate(data) if isinstance(data, list) else ())
    for key, each in inside:
        yield from places(each, (*path, key))


def changed(data, path, value):
    copy = json.loads(json.dumps(data))
    if not path:
        return value
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return copy


def full_check(kind, data):
    try:
        return TypeAdapter(kind).validate_python(data, strict=False, extra="forbid")
    except (ValidationError, BadInput):
        return None


@given(path=st.sampled_from(list(places(WHOLE))), scrap=SCRAPS)
def test_whatever_is_read_is_what_the_full_check_reads(path, scrap):
    data = changed(WHOLE, path, scrap)
    try:
        quick = plain.reader(Outer)(data)
    except plain.Unfit:
        return
    whole = full_check(Outer, data)
    assert quick == whole
    assert repr(quick) == repr(whole), "numbers of the same type, too"


def test_what_fits_is_read():
    read = plain.reader(Outer)(WHOLE)
    assert read.rows == ((1.0, 2.0), ())
    assert read.by_name == {"x": Inner(name="n", value=3.0)}
    assert read.either == Other(kind=2, items=[4])


@pytest.mark.parametrize(("place", "scrap"), [
    (("pair",), [1]), (("pair", 0), True), (("rows", 0, 0), "1"), (("either",), {}),
    (("by_name", "x", "flag"), 1), (("either", "kind"), 2.0), ((), []),
    (("rows", 0, 0), 10**400)])
def test_what_does_not_fit_is_left_to_the_full_check(place, scrap):
    with pytest.raises(plain.Unfit):
        plain.reader(Outer)(changed(WHOLE, place, scrap))


@pytest.mark.parametrize("kind", [Path, set[int], dict[int, str], complex])
def test_types_it_does_not_know_are_left_to_the_full_check(kind):
    with pytest.raises(plain.Unfit):
        plain.reader(kind)


@given(data=st.data())
def test_policies_are_written_as_the_full_check_writes_them(policies, data):
    policy = data.draw(policies)
    body = TypeAdapter(Policy).dump_python(policy, mode="json")
    assert plain.written(policy) == body
    assert plain.reader(Policy)(json.loads(json.dumps(body))) == policy


def test_what_is_no_plain_data_is_written_by_the_full_check():
    assert io.to_data({"place": Path("a/b"), 3: {1}}) == {"place": "a/b", "3": [1]}


def test_a_table_needs_no_pydantic(tmp_path):
    table = ScoreTable(metric="m", unit="u", groups=("a",), values=((1.0,),))
    io.save(tmp_path / "t.json", table)
    program = ("import sys; from mpsearch.core import io; from mpsearch.core.types import "
               f"ScoreTable; print(io.load({str(tmp_path / 't.json')!r}, ScoreTable).values, "
               "'pydantic' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                          text=True)
    assert done.stdout.split() == ["((1.0,),)", "False"]
