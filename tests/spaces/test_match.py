import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.spaces import Rule
from mpsearch.spaces.match import select


@pytest.fixture(scope="session")
def model(layer):
    return (layer("embed", "embedding"), layer("blocks.0.fc1"), layer("blocks.0.qk", "matmul"),
            layer("blocks.0.fc2"), layer("blocks.1.fc1"), layer("Head"))


def names(rule, layers):
    return [layer.name for layer in select(rule, layers)]


def test_a_rule_without_matchers_matches_everything(model):
    assert select(Rule(number=1, pin=8), model) == list(model)


@pytest.mark.parametrize(("fields", "expected"), [
    ({"kind": ("embedding", "matmul")}, ["embed", "blocks.0.qk"]),
    ({"layer": ("blocks.?.fc1",)}, ["blocks.0.fc1", "blocks.1.fc1"]),
    ({"layer": ("blocks.[!0].*", "embed")}, ["embed", "blocks.1.fc1"]),
    ({"layer": ("head",)}, []),
    ({"layer": ("blocks.0",)}, []),
    ({"kind": ("linear",), "layer": ("blocks.0.*",)}, ["blocks.0.fc1", "blocks.0.fc2"]),
    ({"position": "first"}, ["embed"]),
    ({"position": "last"}, ["Head"]),
    ({"position": 1}, ["blocks.0.fc1"]),
    ({"position": -1}, ["Head"]),
    ({"position": -2}, ["blocks.1.fc1"]),
    ({"position": 6}, []),
    ({"position": -7}, []),
    ({"position": "0:2"}, ["embed", "blocks.0.fc1"]),
    ({"position": "-2:"}, ["blocks.1.fc1", "Head"]),
    ({"position": ":1"}, ["embed"]),
    ({"position": "4:-1"}, ["blocks.1.fc1"]),
    ({"position": "first", "kind": ("linear",)}, ["blocks.0.fc1"]),
    ({"position": "last", "layer": ("blocks.0.*",)}, ["blocks.0.fc2"]),
])
def test_matchers(model, fields, expected):
    assert names(Rule(number=1, **fields), model) == expected


@given(count=st.integers(0, 6), index=st.integers(-8, 8))
def test_an_index_is_that_of_a_list(layer, count, index):
    layers = [layer(f"l{i}") for i in range(count)]
    expected = [layers[index]] if -count <= index < count else []
    assert select(Rule(number=1, position=index), layers) == expected


@given(count=st.integers(0, 6), start=st.none() | st.integers(-8, 8),
       stop=st.none() | st.integers(-8, 8))
def test_a_slice_is_that_of_a_list(layer, count, start, stop):
    layers = [layer(f"l{i}") for i in range(count)]
    text = ":".join("" if bound is None else str(bound) for bound in (start, stop))
    assert select(Rule(number=1, position=text), layers) == layers[start:stop]


@pytest.mark.parametrize(("matchers", "expected"), [
    ('layer = "Haed"', ['layer = "Haed" (closest: Head)']),
    ('layer = ["blocks.0.*", "zzz"]', ['layer = "zzz"']),
    ('layer = ["xx", "zzz"]', ['layer = "xx" or "zzz"']),
    ('kind = "conv"\nlayer = "blocks.*"', ['kind = "conv" and layer = "blocks.*"']),
    ('kind = "matmul"\nlayer = ["blocks.*", "Head"]', ['kind = "matmul" and layer = "Head"']),
    ("position = 9", ['position = "9"']),
    ('layer = ["Head", "embed"]\nposition = "last"', []),
    ('kind = "conv"', []),
    ("", []),
])
def test_names_and_positions_that_match_nothing_are_reported(silent, model, matchers, expected):
    told = silent(f"[[rule]]\nfloat = true\n[[rule]]\n{matchers}\npin = 8", *model)
    assert list(told) == [f"my.toml: rule 2: no layer matches {words}" for words in expected]
