"""Devices by name, and the table that each name stands for."""

import pytest

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.core.machine import MachineTable, Timing
from mpsearch.steps.devices import DeviceRef, device_for, save_table, saved_table
from mpsearch.workspace import Workspace

LATENCY = [Budget.parse("8ms")]


def table(device="box", time=1.0):
    row = Timing(operation="add", shape="1>1", scheme="float", batch=1, threads=1,
                 milliseconds=time)
    return MachineTable(device=device, provider="p", cpu="c", origin="imported", rows=(row,))


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path)


@pytest.mark.parametrize(("text", "name", "batch", "threads"), [
    ("zen5", "zen5", 1, 1), (" zen5 ", "zen5", 1, 1), ("host(batch=8)", "host", 8, 1),
    ("host( threads = 2 , batch=4 )", "host", 4, 2), ("host()", "host", 1, 1),
    ("my box.toml(threads=2)", "my box.toml", 1, 2),
])
def test_a_device_is_read_with_its_settings(text, name, batch, threads):
    assert DeviceRef.parse(text) == DeviceRef(name=name, batch=batch, threads=threads)


@pytest.mark.parametrize("text", ["", "()", "zen5(batch)", "zen5(batch=0)", "zen5(batch=-1)",
                                  "zen5(batch=1.5)", "zen5(cores=2)", "zen5(batch=2", "zen5)",
                                  "zen5(batch=²)", f"zen5(batch={'9' * 5000})"], ids=range(11))
def test_what_is_no_device_is_refused_with_the_text(text):
    with pytest.raises(BadInput, match="device"):
        DeviceRef.parse(text)


def test_a_table_is_found_by_its_name_and_the_latest_counts(place):
    assert saved_table(place, "box") is None
    first = save_table(place, table())
    save_table(place, table("other"))
    assert saved_table(place, "box") == (first, table())
    second = save_table(place, table(time=2.0))
    assert first != second
    assert saved_table(place, "box") == (second, table(time=2.0))


def test_no_device_is_needed_without_a_latency(place):
    assert device_for([Budget.parse("4bpw"), Budget.parse("3mJ")], None, place) is None
    assert device_for([Budget.parse("4bpw")], "zen5", place) == "zen5"


def test_a_latency_counts_on_this_machine_once_it_was_profiled(place):
    with pytest.raises(BadInput, match=r"8ms is a latency.*mpsearch profile.*--device.*zen5"):
        device_for(LATENCY, None, place)
    save_table(place, table("host"))
    assert device_for(LATENCY, None, place) == "host"
    assert device_for(LATENCY, "host(batch=2)", place) == "host(batch=2)"


def test_an_unknown_device_is_refused_before_anything_is_measured(place):
    with pytest.raises(UnknownName, match="unknown device 'zen9'"):
        device_for(LATENCY, "zen9", place)
    with pytest.raises(BadInput, match="nothing was timed"):
        device_for([], "host", place)
