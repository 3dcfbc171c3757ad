from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import OPERANDS, Scheme
from mpsearch.spaces.groups import _common

WEIGHTS = "[[rule]]\nweight = { bits = [4, 8] }\n"
INPUTS = '[[rule]]\nkind = "linear"\ninput = { bits = [4, 8] }\n'


def groups(space):
    return [group.layers for group in space.groups]


def schemes(space):
    return [[str(scheme) for scheme in group.schemes] for group in space.groups]


def test_layers_are_free_unless_something_ties_them(solve, layer):
    space = solve(WEIGHTS, layer("b"), layer("a"))
    assert groups(space) == [("b",), ("a",)]
    assert [group.name for group in space.groups] == ["b", "a"]
    assert space.name == "my"


def test_a_model_without_layers_has_no_groups(solve):
    assert solve(WEIGHTS).groups == ()


def test_a_shared_parameter_ties_and_the_first_layer_names_the_group(solve, layer):
    space = solve(WEIGHTS, layer("embed", "embedding", parameter_group="p"), layer("mid"),
                  layer("head", parameter_group="p"))
    assert groups(space) == [("embed", "head"), ("mid",)]
    assert space.groups[0].name == "embed"
    assert schemes(space)[0] == ["W4s/channel", "W8s/channel"]


def test_the_same_parameter_name_ties_without_a_group(solve, layer):
    space = solve(WEIGHTS, layer("a", weight="w"), layer("b", weight="w"), layer("c"))
    assert groups(space) == [("a", "b"), ("c",)]


def test_a_tied_embedding_and_head_keep_the_widths_both_allow(solve, layer):
    rules = WEIGHTS + INPUTS + '[[rule]]\nkind = "embedding"\nweight = { bits = [2, 8] }'
    tied = [layer("embed", "embedding", parameter_group="p"), layer("head", parameter_group="p")]
    expected = [["W8s/channel A4u/tensor", "W8s/channel A8u/tensor"]]
    assert schemes(solve(rules, *tied)) == expected
    assert schemes(solve(rules, *reversed(tied))) == expected


def test_an_embedding_with_more_schemes_than_the_head_loses_none_in_common(solve, layer):
    rules = """[[rule]]
kind = "embedding"
weight = { bits = [2, 3, 4, 5, 6] }
[[rule]]
kind = "linear"
weight = { bits = 4 }
input = { bits = [4, 8] }"""
    space = solve(rules, layer("embed", "embedding", parameter_group="p"),
                  layer("head", parameter_group="p"))
    assert schemes(space) == [["W4s/channel A4u/tensor", "W4s/channel A8u/tensor"]]


def test_equal_widths_stay_as_the_layer_with_most_schemes_writes_them(solve, layer):
    rules = """[[rule]]
weight = { bits = 4, granularity = ["channel", "group:4"] }
[[rule]]
layer = "b"
weight = { bits = 4, granularity = ["group:4", "tensor", "channel"] }"""
    space = solve(rules, layer("a", parameter_group="p"), layer("b", parameter_group="p"))
    assert schemes(space) == [["W4s/group:4", "W4s/channel"]]


def test_shared_activations_tie_only_where_they_may_be_quantized(solve, layer):
    qkv = [layer(name, activation_group="x") for name in "qkv"]
    assert groups(solve(WEIGHTS, *qkv)) == [("q",), ("k",), ("v",)]
    assert groups(solve(WEIGHTS + INPUTS, *qkv)) == [("q", "k", "v")]
    in_float = '[[rule]]\nlayer = "k"\nfloat = true'
    assert groups(solve(WEIGHTS + INPUTS + in_float, *qkv)) == [("q", "v"), ("k",)]
    emptied = '[[rule]]\nlayer = "k"\ninput = []'
    assert groups(solve(WEIGHTS + INPUTS + emptied, *qkv)) == [("q", "v"), ("k",)]


def test_ties_chain_through_parameters_and_activations(solve, layer):
    space = solve(WEIGHTS + INPUTS, layer("a", activation_group="x"),
                  layer("b", activation_group="x", parameter_group="p"), layer("c"),
                  layer("d", parameter_group="p"))
    assert groups(space) == [("a", "b", "d"), ("c",)]


def test_a_rule_ties_all_it_matches(solve, layer):
    rules = WEIGHTS + '[[rule]]\nlayer = "blocks.*"\ntie = true'
    model = [layer("embed", "embedding"), layer("blocks.0.a"), layer("blocks.1.b"), layer("head")]
    assert groups(solve(rules, *model)) == [("embed",), ("blocks.0.a", "blocks.1.b"), ("head",)]


def test_a_rule_ties_by_parent(solve, layer):
    rules = WEIGHTS + '[[rule]]\ntie = "parent"'
    model = [layer("embed"), layer("blocks.0.a"), layer("blocks.0.b"), layer("blocks.1.a"),
             layer("head")]
    assert groups(solve(rules, *model)) == [
        ("embed", "head"), ("blocks.0.a", "blocks.0.b"), ("blocks.1.a",)]


def test_a_later_tie_replaces_an_earlier_one(solve, layer):
    rules = WEIGHTS + '[[rule]]\ntie = true\n[[rule]]\nlayer = "b"\ntie = false'
    model = [layer("a"), layer("b"), layer("c"), layer("d")]
    assert groups(solve(rules, *model)) == [("a", "c", "d"), ("b",)]
    paired = rules + '\n[[rule]]\nlayer = ["c", "d"]\ntie = true'
    assert groups(solve(paired, *model)) == [("a",), ("b",), ("c", "d")]


def test_a_matmul_in_float_does_not_hinder_a_tie_of_weights(solve, layer):
    space = solve(WEIGHTS + "[[rule]]\ntie = true", layer("qk", "matmul"), layer("fc"))
    assert groups(space) == [("qk", "fc")]
    assert schemes(space) == [["W4s/channel", "W8s/channel"]]


def test_a_tie_of_linear_and_matmul_agrees_on_the_input(solve, layer):
    rules = """[[rule]]
weight = { bits = [4, 8] }
input = { bits = [6, 8] }
[[rule]]
kind = "matmul"
input = { bits = [8, 4] }
other = { bits = [2, 4] }
[[rule]]
tie = true"""
    assert schemes(solve(rules, layer("fc"), layer("qk", "matmul"))) == [
        [f"W{w}s/channel A8u/tensor B{b}u/tensor" for w, b in product([4, 8], [2, 4])]]


def test_no_common_scheme_names_the_layers_and_why(solve, layer):
    rules = WEIGHTS + '[[rule]]\nlayer = "b"\npin = 6\n[[rule]]\nlayer = ["b", "c"]\ntie = true'
    model = [layer("a", parameter_group="p"), layer("b", parameter_group="p"), layer("c"),
             layer("d", parameter_group="q"), layer("e", parameter_group="q")]
    with pytest.raises(BadInput) as error:
        solve(rules, *model)
    assert str(error.value) == (
        "my.toml: layers 'a', 'b', 'c' must have one scheme (shared parameter 'p'; rule 3) but "
        "no scheme is on the menu of each: give them a common width and granularity")


def test_float_and_quantized_cannot_share_a_parameter(solve, layer):
    rules = WEIGHTS + '[[rule]]\nlayer = "head"\nfloat = true'
    with pytest.raises(BadInput, match="layers 'embed', 'head' must have one scheme"):
        solve(rules, layer("embed", "embedding", parameter_group="p"),
              layer("head", parameter_group="p"))


FORMATS = [None, IntFormat(bits=4), IntFormat(bits=8)]
EVERY = [Scheme(weight=w, input=a, other=b) for w, a, b in product(FORMATS, repeat=3)]


@st.composite
def members(draw):
    kind = draw(st.sampled_from(list(OPERANDS)))
    own = dict.fromkeys(scheme.for_kind(kind) for scheme in EVERY)
    return kind, tuple(draw(st.lists(st.sampled_from(list(own)), min_size=1, unique=True)))


@given(st.lists(members(), min_size=1, max_size=4))
def test_common_schemes_are_those_that_every_member_has(group):
    unused = {"weight", "input", "other"}.difference(*(OPERANDS[kind] for kind, _ in group))
    expected = {scheme for scheme in EVERY
                if all(getattr(scheme, name) is None for name in unused)
                and all(scheme.for_kind(kind) in own for kind, own in group)}
    found = _common(group)
    assert set(found) == expected
    assert len(found) == len(expected)
