"""Predicted times by hand, and what every shipped device must hold to."""

from dataclasses import replace

import pytest

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.core.formats.trellis import TrellisFormat
from mpsearch.core.types import Scheme
from mpsearch.cost.devices import shipped
from mpsearch.cost.latency import latency
from mpsearch.cost.profiles import DeviceProfile, Level, Rate, load_profile
from mpsearch.cost.roofline import predict

BOX = DeviceProfile(
    name="box", title="a box", float_bits=32, overhead_us=1.0,
    peaks=(Rate(bits=8, gops=2.0, threads=1, source=""), Rate(bits=None, gops=0.5, threads=1,
                                                              source="")),
    memory=(Level(name="near", bytes=100, gbytes=4.0, threads=1, source=""),
            Level(name="far", bytes=None, gbytes=1.0, threads=1, source="")))
ODD = """
title = "odd"
float_bits = 32
overhead = { us = 1, source = "x" }
peak = [{ float = true, gops = 1, source = "x" }]
memory = [{ name = "m", gbytes = 1, source = "x" }]
"""


@pytest.fixture(params=shipped())
def device(request):
    return load_profile(request.param)


def times(hand, profile, batch=1):
    return predict(profile, hand.space, hand.flow, batch=batch).times


def test_a_layer_by_hand(hand):
    found = times(hand, BOX)
    key = ("linear", "1x4*8x4>1x8")
    weights = hand.menu[1].weight.stored_bits((8, 4)) / 8
    held = weights + hand.menu[1].weight.stored_bits((2, 8)) / 8
    assert held <= 100, "all weights fit into the near memory"
    reading = (weights + 4 + 8 * 4) / 4  # ns
    computing = 2 * 32 / 2
    assert found[*key, "W8s/channel A8s/token", 1, 1] == pytest.approx(
        max(reading, computing) * 1e-6 + 1e-3)
    assert found[*key, "W8s/channel", 1, 1] == pytest.approx(2 * 32 / 0.5 * 1e-6 + 1e-3), "in float"


def test_memory_bounds_what_computes_fast(hand):
    fast = replace(BOX, peaks=tuple(replace(rate, gops=1e6) for rate in BOX.peaks), overhead_us=0.0)
    found = times(hand, fast)
    narrow, wide = (found["linear", "1x4*8x4>1x8", name, 1, 1]
                    for name in ("W4s/channel A4s/token", "W8s/channel"))
    assert narrow < wide
    assert found["view", "1x8>8", "float", 1, 1] == 0
    assert found["gelu", "1x8>1x8", "float", 1, 1] == pytest.approx(64 / 4 * 1e-6)


def test_the_far_memory_serves_what_the_near_one_cannot_hold(hand):
    small = replace(BOX, memory=(replace(BOX.memory[0], bytes=1), BOX.memory[1]), overhead_us=0.0,
                    peaks=tuple(replace(rate, gops=1e6) for rate in BOX.peaks))
    near = replace(small, memory=BOX.memory)
    assert times(hand, small)["gelu", "1x8>1x8", "float", 1, 1] == pytest.approx(
        4 * times(hand, near)["gelu", "1x8>1x8", "float", 1, 1])


def test_every_shipped_device_has_times_for_everything(hand, device):
    found = latency(hand.space, hand.flow, predict(device, hand.space, hand.flow))
    assert all(value > 0 for row in found.table.values for value in row)
    for row in found.table.values:
        assert row[0] <= row[1], "four bits are not slower than eight"


def test_more_samples_take_no_less(hand, device):
    one, eight = times(hand, device), times(hand, device, batch=8)
    assert all(one[key] <= eight[*key[:3], 8, 1] <= 8 * one[key] + 1e-12 for key in one)


def test_every_number_of_a_shipped_device_has_a_source(device):
    for each in (*device.peaks, *device.memory):
        assert each.source.partition(":")[0] in {"measured", "vendor's peak", "published",
                                                 "estimate"}
        assert each.source.partition(":")[2].strip()


def test_threads_without_rates_are_refused(hand):
    with pytest.raises(BadInput, match="'zen5' knows 1 or 2 threads, not 3"):
        predict(load_profile("zen5"), hand.space, hand.flow, threads=3)
    assert predict(load_profile("zen5"), hand.space, hand.flow, threads=2).rows


def test_the_rate_is_that_of_the_narrowest_width_that_holds_the_operands():
    zen = load_profile("zen5")
    assert [zen.peak(bits, 1) for bits in (2, 8, 9, 16, 17, None)] == [991, 991, 491, 491, 244, 244]
    assert [zen.bandwidth(held, 1) for held in (1, 524288, 524289, 1e9)] == [207, 207, 111, 41]


def test_an_unknown_device_is_named_with_those_there_are():
    with pytest.raises(UnknownName, match=r"unknown device 'zen9': choose one of .*h200"):
        load_profile("zen9")


@pytest.mark.parametrize(("old", "new", "said"), [
    ("", "", ""),
    ('title = "odd"\n', "", "no key 'title'"),
    ("float_bits = 32", "float_bits = 32\nspeed = 1", "unknown key 'speed'"),
    ("gops = 1", "gops = -1", "gops is a positive number, not -1"),
    ("gops = 1", "gops = nan", "gops is a positive number"),
    ("gops = 1", 'gops = "fast"', "gops is a positive number"),
    ("float = true", "bits = 8, float = true", "either bits or float"),
    ("float = true", "bits = 8", "need a peak with float = true"),
    ("gbytes = 1", "gbytes = 1, bytes = 10", "a memory without bytes"),
    (', source = "x" }]\nmemory', " }]\nmemory", "no key 'source'"),
    ("peak = [", "peak = [1, ", "no table of keys"),
    ("peak = [", "peak = 5  # [", "there is no [[peak]]"),
    ("title", "[title", "cannot read the device"),
])
def test_a_file_of_ones_own_is_read_or_refused_by_key(tmp_path, old, new, said):
    path = tmp_path / "odd.toml"
    path.write_text(ODD.replace(old, new, 1) if old else ODD)
    if not said:
        assert load_profile(str(path)).peak(8, 1) == 1
        return
    with pytest.raises(BadInput) as caught:
        load_profile(str(path))
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_file_may_bring_its_own_energy(tmp_path):
    path = tmp_path / "odd.toml"
    path.write_text(f"{ODD}\n[energy]\nsource = 'mine'\nmacs = {{ 8 = 1.5 }}\nfloat_mac = 2\n"
                    "weight_byte = 3\nactivation_byte = 4\n")
    own = load_profile(str(path)).energy
    assert own is not None
    assert (own.mac(8), own.mac(None)) == (1.5, 2)
    for macs in ("{ wide = 1.5 }", "3"):
        path.write_text(f"{ODD}\n[energy]\nsource = 'mine'\nmacs = {macs}\nfloat_mac = 2\n"
                        "weight_byte = 3\nactivation_byte = 4\n")
        with pytest.raises(BadInput, match=r"energy: macs is a table"):
            load_profile(str(path))
    path.write_text(f"{ODD}\n[energy]\nsource = 'mine'\n")
    with pytest.raises(BadInput, match="energy: no key"):
        load_profile(str(path))


def test_formats_that_are_decoded_compute_in_float(hand):
    decoded = Scheme(weight=TrellisFormat(bits=2), input=hand.menu[1].input)
    assert TrellisFormat.DECODED
    space = replace(hand.space, groups=tuple(replace(group, schemes=(decoded,))
                                             for group in hand.space.groups))
    slow = replace(BOX, memory=(replace(BOX.memory[1], gbytes=1e6),), overhead_us=0.0)
    found = predict(slow, space, hand.flow).times["linear", "1x4*8x4>1x8", str(decoded), 1, 1]
    assert found == pytest.approx(2 * 32 / 0.5 * 1e-6)
