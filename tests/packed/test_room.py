"""The bytes that totals state, and budgets limit, are those on the disk."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from mpsearch import api
from mpsearch.core.formats import IntFormat, registry
from mpsearch.core.types import Policy, Scheme
from mpsearch.fakequant.activations import calibrate
from mpsearch.packed.container import Entry, entries_of, header_of, read_header
from mpsearch.packed.expected import expected_parts
from mpsearch.packed.reading import read_packed
from mpsearch.packed.room import header_room
from mpsearch.steps.pack import pack
from tests.formats import formats_of

FEW = {"calibration_samples": 8, "evaluation_samples": 8, "batch_size": 4}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8)).eval()


@pytest.fixture(scope="module")
def data():
    drawn = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 20, generator=drawn), torch.arange(8)) for _ in range(3)]


@pytest.mark.parametrize(("space", "budget"), [("weights_only", "9KiB"),
                                               ("weights_and_activations", "4bpw")])
def test_the_file_of_an_allocated_policy_has_the_stated_bytes(net, data, tmp_path, space, budget):
    result = api.allocate(budget, net, data=data, space=space, workspace=str(tmp_path / "w"),
                          estimator="sqnr", calibration_policies=0, **FEW)
    written = api.pack(result.policy, str(tmp_path / "m.safetensors"), net, data=data, **FEW)
    size = (tmp_path / "m.safetensors").stat().st_size
    assert size == result.policy.totals.file_bytes == written.file_bytes
    if budget == "9KiB":
        assert size <= 9 * 1024
    packed = read_packed(tmp_path / "m.safetensors")
    assert packed.policy.totals == result.policy.totals
    assert packed.policy.evaluation == result.policy.evaluation
    assert packed.policy.provenance["budgets"] == [budget]
    out = api.unpack(str(tmp_path / "m.safetensors"), net)(data[0][0])
    assert torch.equal(out, api.apply(result.policy, net, data=data, **FEW)(data[0][0]))


def long_totals(policy, room, data):
    totals = replace(policy.totals, bits_per_weight=1 / 3, bops=1e22 / 3, predicted_loss=1e-200 / 3,
                     measured_loss=1e-200 / 3, file_bytes=room + data)
    return replace(policy, totals=totals)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), name=st.sampled_from(["residual", "language", "sdpa"]))
def test_no_choice_needs_a_longer_header(session_on, models, policy_of, tmp_path, seed, name):
    session, inputs = session_on(name)
    drawn = torch.Generator().manual_seed(seed)
    captured = session.captured
    weights = [None, IntFormat(bits=4), IntFormat(bits=10, symmetric=False, granularity="group:4"),
               *formats_of("outlier_split")[:1], *formats_of("lloyd")[:1]]
    inputs_in = [None, IntFormat(bits=8, granularity="tensor", symmetric=False, scale="absmax"),
                 *formats_of("log2", operand="input")[:1]]
    schemes = [Scheme(weight=w, input=i, other=i) for w in weights for i in inputs_in]
    space = models.space_of(captured.layers, schemes, tie=[("tokens", "head")] if (
        name == "language") else [])
    ranges = calibrate(captured.program, space, [inputs(3)])
    found = captured.storable(session.module)
    room = header_room(space, ranges, captured.model, found, captured.inputs)
    chosen = {layer: schemes[int(torch.randint(len(schemes), (1,), generator=drawn))]
              for group in space.groups for layer in group.layers[:1]}
    chosen |= {layer: chosen[group.layers[0]] for group in space.groups for layer in group.layers}
    policy = policy_of(session, chosen, [inputs(3)])
    path = tmp_path / "m.safetensors"
    data = policy.totals.size_bits // 8 + captured.other_bytes
    written = pack(long_totals(policy, room, data), session, path)
    assert written.header_bytes == room
    assert path.stat().st_size == room + data


def test_the_room_is_not_much_more_than_is_needed(session_on, models, policy_of, tmp_path):
    session, _ = session_on("deep")
    captured = session.captured
    schemes = models.weights_only(2, 3, 4, 8)
    room = header_room(models.space_of(captured.layers, schemes), {}, captured.model,
                       captured.storable(session.module), captured.inputs)
    written = pack(policy_of(session, schemes[1]), session, tmp_path / "m.safetensors")
    assert written.header_bytes < room < written.header_bytes + 2048 + 1024


def test_a_policy_that_states_other_bytes_is_corrected_in_the_file(packed_chain, tmp_path):
    _, session, policy = packed_chain
    for stated in (0, 3, policy.totals.file_bytes + 10**12):
        path = tmp_path / "other.safetensors"
        written = pack(replace(policy, totals=replace(policy.totals, file_bytes=stated)), session,
                       path)
        assert path.stat().st_size == written.file_bytes < 10**5
        assert read_packed(path).policy.totals.file_bytes == written.file_bytes


def test_layers_changed_by_hand_are_counted_anew(packed_chain, models, tmp_path):
    _, session, policy = packed_chain
    changed = replace(policy, layers={**policy.layers, "layers.1": Scheme()},
                      totals=replace(policy.totals, file_bytes=10**5))
    written = pack(changed, session, tmp_path / "other.safetensors")
    assert written.policy.totals.size_bits > policy.totals.size_bits
    assert written.policy.totals.bits_per_weight > models.int_format(4).bits
    assert written.file_bytes == (tmp_path / "other.safetensors").stat().st_size < 10**5


def test_provenance_that_has_no_room_is_left_out_the_longest_first(packed_chain, tmp_path):
    _, session, policy = packed_chain
    path = tmp_path / "other.safetensors"
    least = pack(policy, session, path).file_bytes
    told = replace(policy, provenance={"verification": "v" * 500, "allocator": "a" * 500,
                                       "seed": 3})
    kept = {}
    for more in (64, 640, 1280):
        stated = replace(told, totals=replace(told.totals, file_bytes=least + more))
        assert pack(stated, session, path).file_bytes == least + more
        kept[more] = list(read_packed(path).policy.provenance)
    assert kept == {64: ["seed"], 640: ["allocator", "seed"],
                    1280: ["verification", "allocator", "seed"]}


@pytest.mark.parametrize("kind", [kind for kind in registry.kinds() if formats_of(kind)])
def test_expected_tensors_have_the_bits_that_formats_count(kind):
    for fmt in formats_of(kind):
        for shape in ((5, 19), (3, 4, 3, 3), (7,)):
            assert 8 * sum(part.size for part in expected_parts(fmt, shape).values()) == (
                fmt.stored_bits(shape))


NAMES = st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__")


@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(["F32", "U8", "F16", "I64"]), st.lists(
    st.integers(0, 9), max_size=3).map(tuple)), max_size=6), st.dictionaries(NAMES, NAMES),
    st.integers(0, 100))
def test_headers_come_back_and_fill_whole_eights(tensors, metadata, extra):
    entries = entries_of(tensors)
    data = sum(each.stop - each.start for each in entries.values())
    least = len(header_of(entries, metadata))
    header = header_of(entries, metadata, least + 8 * extra)
    assert len(header) == least + 8 * extra
    assert least % 8 == 0
    found, told = read_header(header, data, "it")
    assert (found, told) == (entries, metadata)
    assert {name: (each.dtype, each.shape) for name, each in found.items()} == tensors
    assert all(isinstance(each, Entry) and each.start % 2 == 0 for name, each in found.items()
               if each.dtype != "U8")


def test_a_policy_file_is_not_changed_by_packing(packed_chain, tmp_path):
    _, session, policy = packed_chain
    policy.save(str(tmp_path / "p.json"))
    pack(policy, session, tmp_path / "m.safetensors")
    assert Policy.load(str(tmp_path / "p.json")) == policy
