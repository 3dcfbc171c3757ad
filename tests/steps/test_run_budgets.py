"""Budgets on what a run takes: time, energy and memory, with made-up times of the small model."""

from dataclasses import replace

import pytest

from mpsearch import api
from mpsearch.core.errors import Infeasible
from mpsearch.core.flow import Flow, Reader
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.core.types import OPERANDS, Policy
from mpsearch.steps.devices import FLOWS, save_table, saved_table
from mpsearch.steps.explain import explain
from mpsearch.steps.host import cpu_name
from mpsearch.steps.surfaces import surface_of
from mpsearch.steps.timeline import truths
from mpsearch.workspace import Workspace

OPTIONS = {"calibration_samples": 8, "batch_size": 8, "estimator": "output_error",
           "verify": False}
MIXED = """
name = "mixed"
[[rule]]
kind = ["linear", "conv"]
weight = { bits = [4, 8] }
input = { bits = [4, 8], granularity = "token", symmetric = true, scale = "absmax" }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace with a table in which a layer takes as many microseconds as it has bits."""
    folder = tmp_path_factory.mktemp("times")
    (folder / "mixed.toml").write_text(MIXED)
    result = api.allocate("6bpw", workspace=str(folder), space=str(folder / "mixed.toml"),
                          **OPTIONS)
    measured = result.allocation.measured

    def micros(piece, scheme):
        if not piece.layer:
            return 10.0
        return float(sum(getattr(scheme, name).bits for name in OPERANDS["linear"]
                         if getattr(scheme, name)))

    rows = [Timing(operation=key[0], shape=key[1], scheme=key[2], batch=1, threads=1,
                   milliseconds=micros(*pair) / 1e3)
            for key, pair in measured.costing.flow.needed(measured.record.space).items()]
    table = MachineTable(device="toy", provider="hand", cpu="none", origin="imported",
                         rows=tuple(rows))
    save_table(Workspace(folder), table)
    save_table(Workspace(folder), replace(table, device="even", rows=tuple(
        replace(row, milliseconds=0.01) for row in rows)))
    return folder


@pytest.fixture
def answer(place):
    def ask(*budgets, device="toy", **options):
        return api.allocate(budgets, workspace=str(place), space=str(place / "mixed.toml"),
                            device=device, **{**OPTIONS, **options})

    return ask


def test_a_latency_is_met_to_the_letter_and_written_down(answer):
    free = answer("1s")
    row, = free.allocation.budgets
    middle = (row.floor + row.ceiling) / 2
    result = answer(f"{middle!r}ms")
    totals = result.policy.totals
    assert row.floor <= totals.latency_ms <= middle < free.policy.totals.latency_ms
    assert totals.latency_ms == result.allocation.budgets[0].shown(
        result.allocation.budgets[0].table.total(result.allocation.selection.choice))
    device = result.policy.provenance["device"]
    assert (device["name"], device["provider"], device["batch"], device["threads"]) == (
        "toy", "hand", 1, 1)
    price, = result.allocation.prices()
    assert price.per == "ms"
    assert price.price > 0


def test_the_latency_is_the_sum_over_the_graph(answer):
    result = answer("1s")
    costing = result.allocation.measured.costing
    by_hand = 0.0
    for _, piece in costing.flow.pieces(result.allocation.measured.record.space):
        scheme = result.policy.layers.get(piece.layer)
        by_hand += sum(fmt.bits for fmt in (scheme.weight, scheme.input)) if (
            scheme and not scheme.is_float) else 10
    assert result.policy.totals.latency_ms == pytest.approx(by_hand / 1e3)


def test_time_and_size_hold_together(answer):
    free = answer("1s")
    row, = free.allocation.budgets
    result = answer(f"{(row.floor + row.ceiling) / 2!r}ms", "6bpw")
    assert result.policy.totals.bits_per_weight <= 6
    assert result.policy.totals.latency_ms <= (row.floor + row.ceiling) / 2
    assert result.allocation.selection.status == "optimal"


def test_a_latency_below_the_floor_names_one_that_can_be_met(answer):
    with pytest.raises(Infeasible, match="cannot be met") as caught:
        answer("1us")
    floor = str(caught.value).partition("the floor of this space is ")[2].partition(";")[0]
    assert answer(floor).policy.totals.latency_ms <= float(floor.removesuffix("us")) / 1e3


def test_an_energy_is_met_and_named(answer):
    row, = answer("1J").allocation.budgets
    limit = (row.floor + row.ceiling) / 2
    result = answer(f"{limit!r}mJ")
    assert result.policy.totals.energy_mj <= limit
    assert "45 nm" in result.policy.provenance["energy"]


def test_a_peak_is_met_exactly_where_it_binds(answer):
    free = answer("1GiB-activations")
    row, = free.allocation.budgets
    most = free.policy.totals.peak_activation_bytes
    assert most == -(-int(row.ceiling * 8) // 8)
    least = answer(f"{row.floor!r}B-activations").policy.totals.peak_activation_bytes
    assert least == pytest.approx(row.floor, abs=1)
    if least < most:
        assert answer(f"{most - 1}B-activations").policy.totals.peak_activation_bytes < most


def test_a_peak_of_many_places_is_one_budget(answer, place):
    """Residuals in float hide what quantization saves: without them every block has its limit."""
    work = Workspace(place)
    study = answer("1s").allocation.measured.key
    flow = work.load(FLOWS, study, Flow)
    bare = replace(flow, tensors=tuple(
        replace(each, readers=each.readers or (Reader(layer="head", operand="input"),),
                floating=False) for each in flow.tensors))
    work.save(FLOWS, study, bare)
    try:
        sets = answer("1s").allocation.measured.costing.live
        least, most = (max(each.fixed + sum(map(end, each.table.values)) for each in sets) / 8
                       for end in (min, max))
        limit = int((least + most) / 2)
        result = answer(f"{limit}B-activations", "6bpw")
        several = [row for row in result.allocation.budgets if row.place]
        assert len(several) > 1
        assert {str(row.budget) for row in several} == {f"{limit}B-activations"}
        assert result.policy.totals.peak_activation_bytes <= limit
        assert result.policy.provenance["budgets"] == [f"{limit}B-activations", "6bpw"]
        told = [row for row in result.allocation.prices() if "activations" in row.budget]
        assert told
        assert all(" at " in row.budget and row.per == "KiB" for row in told)
    finally:
        work.save(FLOWS, study, flow)


def test_show_finds_the_prices_of_a_latency_again(answer, place):
    free = answer("1s")
    row, = free.allocation.budgets
    result = answer(f"{(row.floor + row.ceiling) / 2!r}ms")
    result.policy.save(str(place / "policy.json"))
    found = explain(Policy.load(str(place / "policy.json")), Workspace(place))
    assert [each.per for each in found.prices] == ["ms"]
    assert found.prices == result.allocation.prices()


def test_a_latency_that_decides_nothing_says_so(answer):
    same = truths(answer("1s", device="even").allocation)
    assert len(same) == 1
    assert "every scheme takes the same time" in same[0]
    assert "26 of 26" in same[0]
    assert truths(answer("1s").allocation) == []
    assert truths(answer("1s", "6bpw", device="even").allocation) == []


def test_a_front_over_latency_falls_from_the_floor_to_the_ceiling(place):
    front = api.pareto(plan=api.FrontPlan(points=5, measure=False, over="latency"), device="toy",
                       workspace=str(place), space=str(place / "mixed.toml"),
                       **{key: value for key, value in OPTIONS.items() if key != "verify"})
    times = [point.latency_ms for point in front.predicted]
    losses = [point.predicted_loss for point in front.predicted]
    assert (front.over, front.device) == ("latency", "toy")
    assert times == sorted(times)
    assert losses == sorted(losses, reverse=True)
    assert [point.bits_per_weight for point in front.placed.predicted] == times


def test_two_kinds_of_budget_draw_both_axes(answer):
    row, = answer("1s").allocation.budgets
    result = answer(f"{(row.floor + row.ceiling) / 2!r}ms", "6bpw")
    surface = surface_of(result.allocation, "m", points=3)
    assert surface.labels == ("ms", "bits per weight")
    assert surface.chosen.x == pytest.approx(result.policy.totals.latency_ms)
    assert surface.limits[0] == pytest.approx((row.floor + row.ceiling) / 2)


def test_a_tolerance_may_make_time_small(answer):
    free = answer("1s").policy.totals.latency_ms
    result = answer(tolerance="3kl", minimise="latency")
    totals, first = result.policy.totals, result.allocation.budgets[0]
    assert totals.latency_ms < free
    assert first.budget.metric == "latency_ms"
    assert first.budget.limit == totals.latency_ms, "its first budget is what it takes"
    assert result.allocation.tolerated.minimised == "latency"


def test_a_device_of_ones_own_with_its_energy_is_remembered(answer, place):
    (place / "mine.toml").write_text("""
title = "mine"
float_bits = 32
overhead = { us = 1, source = "estimate: x" }
peak = [{ float = true, gops = 1, source = "estimate: x" }]
memory = [{ name = "m", gbytes = 1, source = "estimate: x" }]
[energy]
source = "mine"
macs = { 8 = 1.0 }
float_mac = 2
weight_byte = 3
activation_byte = 4
""")
    row, = answer("1J", device=str(place / "mine.toml")).allocation.budgets
    result = answer(f"{(row.floor + row.ceiling) / 2!r}mJ", device=str(place / "mine.toml"))
    assert result.policy.provenance["energy"] == "mine"
    result.policy.save(str(place / "mine.json"))
    found = explain(Policy.load(str(place / "mine.json")), Workspace(place))
    assert found.prices == result.allocation.prices()
    assert found.prices[0].per == "mJ"


def test_times_of_another_processor_and_of_the_simulation_are_called_so(answer, place):
    table = saved_table(Workspace(place), "toy")[1]
    save_table(Workspace(place), replace(table, device="host", provider="simulated",
                                         origin="measured", cpu="a processor of long ago"))
    elsewhere, simulated = truths(answer("1s", device="host").allocation)
    assert "another processor (a processor of long ago)" in elsewhere
    assert "--provider integer" in simulated
    save_table(Workspace(place), replace(table, device="host", origin="measured",
                                         cpu=cpu_name()))
    assert truths(answer("1s", device="host").allocation) == []
