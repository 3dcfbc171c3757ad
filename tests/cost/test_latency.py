"""Latency is the sum over what runs: layers by scheme, the rest once, fused operations never."""

from dataclasses import replace
from itertools import product

import pytest

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Piece, Step
from mpsearch.core.formats import IntFormat
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.latency import latency, undecided

TIMES = {"W4s/channel A4s/token": 0.25, "W8s/channel A8s/token": 0.5, "W8s/channel": 2.0}


def by_scheme(key):
    return TIMES.get(key[2], {"gelu": 0.125, "view": 0.0625}.get(key[0]))


def test_layers_go_by_their_scheme_and_the_rest_is_fixed(hand):
    found = latency(hand.space, hand.flow, hand.table(by_scheme))
    assert found.fixed == 187_500_000
    assert found.table.values == ((0.25e9, 0.5e9, 2e9),) * 2
    assert (found.table.metric, found.table.unit) == ("latency", "ps")
    assert found.total((0, 2)) == pytest.approx(0.25 + 2 + 0.1875)


def test_costs_are_whole_numbers(hand):
    found = latency(hand.space, hand.flow, hand.table(lambda _: 1 / 3))
    assert all(value.is_integer() for row in found.table.values for value in row)
    assert found.table.values[0][0] == round(1e9 / 3)


def test_what_is_fused_takes_no_time(hand):
    alone = latency(hand.space, hand.flow, hand.table(by_scheme))
    fused = latency(hand.space, hand.flow, hand.table(by_scheme, fusions=("linear+gelu",)))
    assert alone.fixed - fused.fixed == 125_000_000
    assert fused.table == alone.table
    other = latency(hand.space, hand.flow, hand.table(by_scheme, fusions=("linear+relu",)))
    assert other.fixed == alone.fixed


def test_a_table_with_holes_is_refused_and_the_hole_named(hand):
    table = hand.table(by_scheme)
    for row in table.rows:
        with pytest.raises(Unsupported) as caught:
            latency(hand.space, hand.flow, replace(table, rows=tuple(
                each for each in table.rows if each is not row)))
        assert f"{row.operation} {row.shape} at {row.scheme}" in str(caught.value)
        assert "'box'" in str(caught.value)
    with pytest.raises(Unsupported, match=r"batch 2, 1 thread.* and 7 more"):
        latency(hand.space, hand.flow, table, batch=2)


def attention(*menus):
    """Fused attention whose products may take these schemes."""
    pieces = [Piece(operation=name, shape=name, kind=kind, layer=layer) for name, kind, layer in (
        ("qk", "layer", "qk"), ("softmax", "softmax", ""), ("av", "layer", "av"))]
    whole = Piece(operation="attention", shape="all", kind="attention")
    flow = Flow(steps=(Step(name="sdpa", pieces=(whole,), opened=tuple(pieces)),), tensors=())
    layers = tuple(LayerSpec(name=name, kind="matmul") for name in ("qk", "av"))
    space = SearchSpace(name="s", layers=layers, groups=tuple(
        Group(name=layer.name, layers=(layer.name,), schemes=menu)
        for layer, menu in zip(layers, menus, strict=True)))
    rows = [Timing(operation=op, shape=op if op != "attention" else "all", scheme=str(s), batch=1,
                   threads=1, milliseconds=time)
            for (op, time), s in product(
                {"qk": 1.0, "softmax": 2.0, "av": 4.0, "attention": 3.0}.items(), (Scheme(), FOUR))]
    return space, flow, MachineTable(device="d", provider="p", cpu="", origin="imported",
                                     rows=tuple(rows))


FOUR = Scheme(input=IntFormat(bits=4, granularity="token"))


def test_attention_is_whole_while_nothing_quantizes_it():
    found = latency(*attention((Scheme(),), (Scheme(),)))
    assert found.fixed == 3_000_000_000
    assert found.table.values == ((0.0,), (0.0,))


def test_attention_counts_in_the_open_where_it_cannot_be_whole():
    found = latency(*attention((Scheme(),), (FOUR,)))
    assert found.fixed == 2_000_000_000
    assert [row[0] for row in found.table.values] == [1e9, 4e9]


def test_products_in_float_share_out_what_their_whole_saves():
    found = latency(*attention((Scheme(), FOUR), (Scheme(), FOUR)))
    assert found.fixed == 2_000_000_000
    assert found.table.values == ((0.2e9, 1e9), (0.8e9, 4e9))
    assert found.total((0, 0)) == pytest.approx(3.0), "as one operation takes"
    assert found.total((1, 1)) == pytest.approx(7.0), "as its parts take"


def test_groups_whose_schemes_all_take_the_same_time_are_named(hand):
    def times(key):
        return {"1x4*8x4>1x8": {"W8s/channel": 1.04}.get(key[2], 1.0),
                "1x8*2x8>1x2": {"W8s/channel": 1.06}.get(key[2], 1.0)}.get(key[1], 1.0)

    found = latency(hand.space, hand.flow, hand.table(times))
    assert undecided(hand.space, found.table, 0.05) == ("first",)
    assert undecided(hand.space, found.table, 0.07) == ("first", "last")
    assert undecided(hand.space, found.table, 0.0) == ()


def test_a_group_without_a_choice_is_not_undecided(hand):
    space = replace(hand.space, groups=tuple(replace(group, schemes=hand.menu[:1])
                                             for group in hand.space.groups))
    found = latency(space, hand.flow, hand.table())
    assert undecided(space, found.table, 0.05) == ()
