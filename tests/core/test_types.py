"""Layers, spaces, tables and policies: their checks and their small sums."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput, Infeasible, MpsearchError, UnknownName, Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import (
    OPERANDS,
    Group,
    LayerSpec,
    Scheme,
    ScoreTable,
    SearchSpace,
    unique_weights,
)

W4, W8 = Scheme(weight=IntFormat(bits=4)), Scheme(weight=IntFormat(bits=8))


def linear(name, shape=(2, 3), **rest):
    return LayerSpec(name=name, kind="linear", weight=f"{name}.weight", weight_shape=shape, **rest)


def space(*layers, groups=None):
    groups = groups or [(layer.name,) for layer in layers]
    return SearchSpace(name="test", layers=layers, groups=tuple(
        Group(name="+".join(names), layers=tuple(names), schemes=(W4, W8)) for names in groups))


@pytest.mark.parametrize("kind", OPERANDS)
def test_a_scheme_keeps_only_the_operands_of_a_kind(kind):
    everything = Scheme(weight=IntFormat(bits=2), input=IntFormat(bits=3), other=IntFormat(bits=5))
    kept = everything.for_kind(kind)
    for operand in ("weight", "input", "other"):
        expected = getattr(everything, operand) if operand in OPERANDS[kind] else None
        assert getattr(kept, operand) == expected


def test_a_scheme_reads_as_text():
    both = Scheme(weight=IntFormat(bits=4), input=IntFormat(bits=8, granularity="tensor"))
    assert str(both) == "W4s/channel A8s/tensor"
    assert str(Scheme(other=IntFormat(bits=8, granularity="token"))) == "B8s/token"
    assert str(Scheme()) == "float"
    assert Scheme().is_float
    assert not both.is_float


def test_a_layer_counts_its_weights():
    assert linear("fc", (4, 3, 2)).weights == 24
    assert LayerSpec(name="qk", kind="matmul").weights == 0


def test_shared_weights_count_once():
    head = linear("head", (10, 4), parameter_group="tied")
    tokens = linear("tokens", (10, 4), parameter_group="tied")
    matmul = LayerSpec(name="qk", kind="matmul")
    shared = space(tokens, linear("fc"), matmul, head)
    assert [layer.name for layer in unique_weights(shared.layers)] == ["tokens", "fc"]
    assert shared.weights == 40 + 6


def test_layers_without_a_parameter_group_share_by_parameter_name():
    twice = [replace(linear(name), weight="shared.weight") for name in ("a", "b")]
    assert len(unique_weights(twice)) == 1


def test_a_space_finds_layers_and_lists_members_in_order_of_execution():
    found = space(linear("a"), linear("b"), linear("c"), groups=[("c", "a"), ("b",)])
    assert found.layer("b").name == "b"
    assert [layer.name for layer in found.members(found.groups[0])] == ["a", "c"]


@pytest.mark.parametrize("groups", [[("a",)], [("a", "b"), ("b",)], [("a", "b", "c")]])
def test_every_layer_is_in_exactly_one_group(groups):
    with pytest.raises(BadInput, match="exactly one group"):
        space(linear("a"), linear("b"), groups=groups)


@pytest.mark.parametrize(("layers", "schemes"), [((), (W4,)), (("a",), ())])
def test_a_group_needs_layers_and_schemes(layers, schemes):
    with pytest.raises(BadInput, match="group 'g' needs"):
        Group(name="g", layers=layers, schemes=schemes)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), max_size=6), st.data())
def test_a_table_sums_what_is_chosen(rows, data):
    table = ScoreTable(metric="m", unit="u", groups=tuple(map(str, range(len(rows)))),
                       values=tuple(map(tuple, rows)))
    choice = [data.draw(st.integers(0, len(row) - 1)) for row in rows]
    expected = sum(row[k] for row, k in zip(rows, choice, strict=True))
    assert table.total(choice) == pytest.approx(expected, abs=1e-6)


def test_a_table_needs_one_choice_a_group():
    table = ScoreTable(metric="m", unit="u", groups=("a",), values=((1.0,),))
    with pytest.raises(ValueError, match="zip"):
        table.total([0, 0])


def test_a_table_sums_exactly():
    rows = ((1e16,), (1.0,), (-1e16,))
    table = ScoreTable(metric="m", unit="u", groups=("a", "b", "c"), values=rows)
    assert table.total([0, 0, 0]) == 1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_table_holds_finite_numbers_only(value):
    with pytest.raises(BadInput, match="not finite in 'b'"):
        ScoreTable(metric="m", unit="u", groups=("a", "b"), values=((1.0,), (0.0, value)))


def test_a_table_has_a_row_a_group():
    with pytest.raises(BadInput, match="table 'm' has 1 rows for 2 groups"):
        ScoreTable(metric="m", unit="u", groups=("a", "b"), values=((1.0,),))


def test_diff_names_what_changed_and_what_is_missing(policy):
    other = replace(policy, layers={"first": W8, "new": W4})
    assert policy.diff(other) == {
        "first": (W4, W8), "last": (Scheme(), None), "new": (None, W4)}
    assert other.diff(policy) == {
        "first": (W8, W4), "new": (W4, None), "last": (None, Scheme())}
    assert policy.diff(policy) == {}


@given(data=st.data())
def test_diff_is_what_turns_one_policy_into_the_other(policies, data):
    here, there = data.draw(policies), data.draw(policies)
    changes = here.diff(there)
    patched = {**here.layers, **{name: new for name, (_, new) in changes.items()}}
    assert {name: scheme for name, scheme in patched.items() if scheme is not None} == there.layers
    assert all(old != new for old, new in changes.values())


def test_types_cannot_be_changed(policy):
    with pytest.raises(FrozenInstanceError):
        policy.version = 2
    with pytest.raises(FrozenInstanceError):
        W4.weight = None


def test_reading_a_policy_imports_neither_torch_nor_numpy(policy, tmp_path):
    path = tmp_path / "policy.json"
    policy.save(str(path))
    program = (
        "import sys; from mpsearch.core.types import Policy; "
        "print(len(Policy.load(sys.argv[1]).layers), sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True,
                          text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["2", "[]\n"]


def test_errors_for_people_share_a_base():
    assert issubclass(UnknownName, BadInput)
    assert all(issubclass(kind, MpsearchError) for kind in (BadInput, Infeasible, Unsupported))
    assert str(UnknownName("allocator", "magic", ["b", "a"])) == (
        "unknown allocator 'magic': choose one of a, b")
