"""Peak activation memory against counting it step by step, and its budget as sums."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Piece, Reader, Step, Stored
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.activations import largest_sets, live_sets, peak_bytes


def schemes_of(space, choice):
    return {name: group.schemes[k] for group, k in zip(space.groups, choice, strict=True)
            for name in group.layers}


def test_the_peak_by_hand(hand):
    assert peak_bytes(hand.flow, {}) == (8 + 8) * 4, "the GELU's input and output, in float"
    quantized = {"last": hand.scheme(4, 4)}
    assert peak_bytes(hand.flow, quantized) == 4 * 4 + 8 * 4, "the first layer's, as nothing else"


def test_weights_alone_change_nothing(hand):
    assert peak_bytes(hand.flow, {"first": hand.scheme(2), "last": hand.scheme(2)}) == 64


def test_one_row_for_each_set_that_is_in_no_larger_one(hand):
    assert largest_sets(hand.flow) == [[0, 1], [1, 2], [2, 3]]
    rows = live_sets(hand.space, hand.flow)
    assert [row.fixed for row in rows] == [8 * 32, 8 * 32, 2 * 32]
    assert rows[1].place == "last"
    assert rows[1].table.values == ((0.0,) * 3, (8 * 4.0, 8 * 8.0, 8 * 32.0))


@st.composite
def flows(draw):
    """A run of some steps, tensors that live in between, and the layers that read them."""
    steps, groups = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    tensors = []
    for number in range(draw(st.integers(1, 10))):
        first = draw(st.integers(-1, steps - 1))
        home = draw(st.integers(-1, groups - 1))
        tensors.append(Stored(
            name=str(number), elements=draw(st.integers(1, 50)), bits=32, first=first,
            last=draw(st.integers(max(first, 0), steps - 1)), floating=home < 0,
            readers=() if home < 0 else (Reader(layer=f"l{home}", operand="input"),)))
    flow = Flow(tensors=tuple(tensors), steps=tuple(
        Step(name=str(n), pieces=(Piece(operation="o", shape="", kind="other"),))
        for n in range(steps)))
    return flow, groups


@given(flows())
def test_the_greatest_sum_is_the_peak_of_every_choice(hand, made):
    flow, groups = made
    layers = tuple(LayerSpec(name=f"l{n}", kind="linear", weight="w") for n in range(groups))
    space = SearchSpace(name="s", layers=layers, groups=tuple(
        Group(name=layer.name, layers=(layer.name,), schemes=hand.menu) for layer in layers))
    rows = live_sets(space, flow)
    for choice in product(range(len(hand.menu)), repeat=groups):
        widths = schemes_of(space, choice)
        counted = max(sum(each.elements * (
            32 if each.floating or widths[each.readers[0].layer].input is None
            else widths[each.readers[0].layer].input.bits)
            for each in flow.tensors if each.first <= step <= each.last)
            for step in range(len(flow.steps)))
        assert max(row.fixed + row.table.total(choice) for row in rows) == counted
        assert peak_bytes(flow, widths) == -(-counted // 8)


def test_a_tensor_that_several_groups_store_in_their_own_way_is_refused(hand):
    shared = replace(hand.flow.tensors[2], readers=(Reader(layer="first", operand="input"),
                                                    Reader(layer="last", operand="input")))
    flow = replace(hand.flow, tensors=(*hand.flow.tensors[:2], shared, hand.flow.tensors[3]))
    with pytest.raises(Unsupported, match=r"'gelu', by first, last.*tie them"):
        live_sets(hand.space, flow)
    widest = {"first": hand.scheme(4, 4), "last": hand.scheme(8, 8)}
    assert peak_bytes(flow, widest) == max(4 * 4 // 8 + 8 * 4, 8 * 4 + 8), "the widest of its codes"
    floats = replace(hand.space, groups=tuple(
        replace(group, schemes=(Scheme(), hand.scheme(2))) for group in hand.space.groups))
    assert live_sets(floats, flow)[1].fixed == 16 * 32, "weights alone do not disagree"
