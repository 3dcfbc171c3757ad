"""The policy's JSON Schema: what stands beside the code, and what it lets through."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy


@pytest.fixture(scope="module")
def validator():
    stored = json.loads((files("mpsearch.core") / io.SCHEMA_NAME).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(stored)
    return Draft202012Validator(stored)


def test_the_stored_schema_is_up_to_date(validator):
    assert validator.schema == io.schema(), "CONTRIBUTING.md says how to write it anew"


@given(data=st.data())
def test_every_saved_policy_fits_the_schema(validator, policies, data):
    validator.validate(json.loads(io.dumps(data.draw(policies))))


@pytest.mark.parametrize("changes", [
    {"version": 2}, {"version": None}, {"extra": 1}, {"layers": []}, {"totals": {}},
    {"layers": {"fc": {"colour": "red"}}}, {"layers": {"fc": {"weight": {"bits": "4.5"}}}},
    {"layers": {"fc": {"weight": {"bits": 4, "kind": "int", "base": 3}}}},
])
def test_the_schema_refuses_what_reading_refuses(validator, policy, changes):
    data = {**io.to_data(policy), **changes}
    assert not validator.is_valid(data)
    with pytest.raises(BadInput):
        io.loads(json.dumps(data).encode(), Policy, where="memory")


@pytest.mark.parametrize("field", ["version", "model", "layers", "totals"])
def test_schema_and_reading_need_the_same_fields(validator, policy, field):
    data = {key: part for key, part in io.to_data(policy).items() if key != field}
    assert not validator.is_valid(data)
    with pytest.raises(BadInput):
        io.loads(json.dumps(data).encode(), Policy, where="memory")
