"""The trellis code: its distortion, its search, its circular streams and its rotation."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.trellis import TrellisFormat
from mpsearch.quantizers.base import Params, fake_quantize
from mpsearch.quantizers.packing import packed_tensors, unpacked
from mpsearch.quantizers.trellis import paths, plain
from mpsearch.quantizers.trellis.pairs import Trellis as Code
from mpsearch.quantizers.trellis.pairs import codewords, trellis_of
from mpsearch.quantizers.trellis.quantizer import Trellis, _numbers, _path, _together

# Relative mean squared errors on independent normal numbers, in long sequences: QTIP's with 12
# state bits, and what its trellis is held to with the codewords of this project.
PUBLISHED = {2: 0.0756, 3: 0.0212, 4: 0.0072}
FOUND = {1.5: 0.1395, 1.75: 0.1008, 2: 0.0717, 2.5: 0.0372, 3: 0.01925, 3.25: 0.0142, 4: 0.00557,
         5: 0.00192}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loss(x, fmt):
    (params,) = Trellis().fit(x, [fmt])
    error = fake_quantize(Trellis(), x, params, fmt) - x
    return float(error.square().mean() / x.square().mean())


@pytest.mark.parametrize(("bits", "expected"), FOUND.items())
def test_distortion_of_normal_numbers_with_12_state_bits(bits, expected):
    found = loss(normal(24, 256), TrellisFormat(bits=bits))
    assert found == pytest.approx(expected, rel=0.04)
    assert 4.0**-bits < found < PUBLISHED.get(bits, 1.0)


def test_more_bits_and_more_states_lose_less():
    x = normal(16, 256)
    few = [loss(x, TrellisFormat(bits=bits, states=8)) for bits in TrellisFormat.WIDTHS
           if bits <= 4]
    assert few == sorted(few, reverse=True)
    assert loss(x, TrellisFormat(bits=2, states=11)) < 0.95 * few[2]


def test_a_quarter_bit_loses_less_than_two_halves_of_a_tensor():
    x = normal(24, 256)
    half, one = (loss(x, TrellisFormat(bits=bits, states=10)) for bits in (1.5, 2))
    assert loss(x, TrellisFormat(bits=1.75, states=10)) < 0.98 * (half + one) / 2


def test_heavy_tails_lose_little_more_than_normal_numbers():
    x = normal(64, 96) / torch.rand(64, 96, generator=torch.Generator().manual_seed(1)).clamp(0.01)
    x[:, 5] *= 30
    assert loss(x, TrellisFormat(bits=3)) < 1.2 * FOUND[3]


def test_the_scale_is_near_that_of_least_error():
    x, fmt = normal(16, 256), TrellisFormat(bits=2, states=10)
    (params,) = Trellis().fit(x, [fmt])
    errors = [float((fake_quantize(Trellis(), x, Params(
        scale=params.scale * factor, zero_point=params.zero_point), fmt) - x).square().mean())
        for factor in (0.95, 1.0, 1.05)]
    assert errors[1] == min(errors)


@pytest.mark.parametrize("bits", TrellisFormat.WIDTHS)
def test_a_weight_takes_its_bits_and_a_scale(bits):
    fmt = TrellisFormat(bits=bits)
    assert fmt.stored_bits((192, 192)) == 192 * 192 * bits + 16 + 8
    assert fmt.stored_bits((768, 192)) == 768 * 192 * bits + 16 + 8


@given(rows=st.integers(1, 70), columns=st.integers(1, 70),
       bits=st.sampled_from(TrellisFormat.WIDTHS), states=st.integers(10, 16))
def test_sequences_hold_every_number_and_fill_a_state(rows, columns, bits, states):
    fmt = TrellisFormat(bits=bits, states=states)
    count, steps = fmt.sequences((rows, columns))
    assert 2 * steps * (count - 1) < rows * columns <= 2 * steps * count
    assert steps % len(fmt.new_bits) == 0
    assert steps // len(fmt.new_bits) * fmt.code_bits >= states
    assert 2 * steps <= 256 + 4


@pytest.mark.parametrize("new", [3, 4, 7, 8])
def test_the_states_after_a_state_are_one_in_each_cell(new):
    table = codewords(10, new, 0).astype(np.float64) / (0.9 + 0.4 * new / 10)
    share = torch.special.ndtr(torch.from_numpy(table))
    across, up = 1 << (new + 1) // 2, 1 << new // 2
    cell = (share[:, 0] * across).long() * up + (share[:, 1] * up).long()
    assert torch.equal(cell.view(-1, 1 << new).sort(1).values,
                       torch.arange(1 << new).expand(1 << (10 - new), -1))


@pytest.mark.parametrize("states", [8, 12, 16])
@pytest.mark.parametrize("new", [3, 4, 8])
def test_codewords_are_distinct_and_normal(states, new):
    table = codewords(states, new, 0)
    assert len(np.unique(table, axis=0)) == 1 << states
    assert table.mean() == pytest.approx(0, abs=0.05)
    assert table.std() == pytest.approx(0.9 + 0.4 * new / states, rel=0.03)
    assert abs(np.corrcoef(table.T)[0, 1]) < 0.1


GOLDEN = [[443245, 418480], [-1207349, 721428]]  # as first made: what is stored relies on them


def test_codewords_follow_from_the_seed_alone():
    first = codewords(12, 4, 0)
    assert np.array_equal(first, codewords(12, 4, 0))
    assert not np.array_equal(first, codewords(12, 4, 1))
    assert np.array_equal(first * 2**20, np.rint(first * 2**20))
    assert (first[:2] * 2**20).astype(int).tolist() == GOLDEN


def exhaustive(x, code):
    """The least error over all paths of a small trellis, by trying them."""
    kept = code.states - int(code.new_bits[0])
    best = math.inf
    for old in range(1 << kept):
        for bits in itertools.product(range(1 << int(code.new_bits[0])), repeat=len(x)):
            state, total = old, 0.0
            for t, new in enumerate(bits):
                state = (state << int(code.new_bits[0]) | new) & ((1 << code.states) - 1)
                total += float(((x[t] - code.codewords[0, state]) ** 2).sum())
            best = min(best, total)
    return best


@pytest.mark.parametrize(("states", "new", "steps"), [(3, 1, 6), (4, 2, 4), (3, 3, 3)])
def test_the_search_finds_the_path_of_least_error(states, new, steps):
    table = normal(1, 1 << states, 2, seed=4).numpy()
    code = Code(states, np.array([new]), table)
    x = normal(3, steps, 2, seed=5)
    path = plain.search(x, torch.ones(steps, 2), code, None)
    found = (x - _numbers(path, code).view(3, steps, 2)).square().sum((1, 2))
    for row in range(3):
        assert float(found[row]) == pytest.approx(exhaustive(x[row].numpy(), code), rel=1e-5)


@pytest.mark.parametrize("bits", [1.5, 1.75, 3, 3.75, 4])
@pytest.mark.parametrize("bound", [False, True])
def test_compiled_loops_find_the_same_paths(bits, bound, monkeypatch):
    pytest.importorskip("numba")
    code = trellis_of(TrellisFormat(bits=bits, states=8))
    x = normal(35, 12, 2)
    x[3] = 0.0
    x[4] = x[5]
    weight = torch.ones(12, 2)
    weight[-1] = weight[-2, 1] = 0.0  # every way through is equal there
    kept = code.states - int(code.new_bits[0])
    start = torch.arange(35) % (1 << kept) if bound else None
    monkeypatch.setattr(paths, "_WORTH", 0)
    assert torch.equal(paths._search(x, weight, code, start), plain.search(x, weight, code, start))


def test_paths_do_not_depend_on_the_number_of_threads(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(paths, "_WORTH", 0)
    code, x = trellis_of(TrellisFormat(bits=2, states=8)), normal(70, 64)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = paths.circular(x, code)
        torch.set_num_threads(3)
        assert torch.equal(paths.circular(x, code), alone)
    finally:
        torch.set_num_threads(before)


@given(count=st.integers(1, 3), periods=st.integers(4, 20), missing=st.integers(0, 5),
       bits=st.sampled_from([1.5, 1.75, 2.5, 3.25, 4]), seed=st.integers(0, 99))
def test_streams_are_circular(count, periods, missing, bits, seed):
    code = trellis_of(TrellisFormat(bits=bits, states=8))
    steps = periods * len(code.new_bits)
    x = normal(count, 2 * steps, seed=seed)
    x[-1, 2 * steps - missing:] = math.nan
    path = paths.circular(x, code)
    new = torch.from_numpy(np.resize(code.new_bits, steps))
    assert torch.equal(path >> new, path.roll(1, 1) & ((1 << (8 - new)) - 1))
    assert torch.equal(_path(_together(path, code), code), path)


@pytest.mark.parametrize("bits", TrellisFormat.WIDTHS)
@pytest.mark.parametrize("states", [10, 12])
@pytest.mark.parametrize("shape", [(3, 128), (5, 67), (1, 3)])
def test_what_a_stream_stands_for_is_found_again(bits, states, shape):
    fmt = TrellisFormat(bits=bits, states=states, seed=7)
    codes = torch.randint(1 << fmt.code_bits, fmt.codes(shape),
                          generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    params = Params(scale=torch.full((1, 1), 0.3), zero_point=torch.zeros(1, 1, dtype=torch.int32))
    x = Trellis().decode(codes, params, fmt, shape=shape)
    again = Trellis().encode(x, params, fmt)
    assert torch.equal(Trellis().decode(again, params, fmt, shape=shape), x)
    if math.prod(shape) % 4 == 0:
        assert torch.equal(again, codes)


def test_seeds_lead_to_other_values():
    x = normal(8, 32)
    values = [fake_quantize(Trellis(), x, *Trellis().fit(x, [fmt]), fmt) for fmt in (
        TrellisFormat(bits=2, states=8), TrellisFormat(bits=2, states=8, seed=1))]
    assert not torch.equal(*values)


def test_codes_without_the_shape_of_the_tensor_are_refused():
    x, fmt = normal(8, 32), TrellisFormat(bits=2, states=8)
    (params,) = Trellis().fit(x, [fmt])
    codes = Trellis().encode(x, params, fmt)
    with pytest.raises(BadInput, match="give the shape of the tensor"):
        Trellis().decode(codes, params, fmt)
    with pytest.raises(BadInput, match="give the shape of the tensor"):
        Trellis().decode(codes, params, fmt, shape=(80, 32))


@pytest.mark.parametrize(("settings", "message"), [
    ({"bits": 2, "states": 17}, "a trellis of 2 bits has 8 to 16 state bits, not 17"),
    ({"bits": 2, "states": 7}, "8 to 16 state bits, not 7"),
    ({"bits": 4.25, "states": 8}, "9 to 16 state bits, not 8"),
    ({"bits": 2, "seed": -1}, "a seed is 0 or above, not -1"),
    ({"bits": 2.1}, "bits, not 2.1"),
    ({"bits": 2, "granularity": "group:32"}, "no granularity 'group:32'"),
])
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(BadInput, match=message):
        TrellisFormat(**settings)


def test_as_many_codes_as_numbers_are_still_no_codes_of_numbers():
    shape = (1, 3, 1, 1)
    fmt = TrellisFormat(bits=1.5, states=8)
    x = torch.tensor([0.5, -1.0, 2.0]).view(shape)
    (params,) = Trellis().fit(x, [fmt])
    codes = Trellis().encode(x, params, fmt)
    assert codes.shape == fmt.codes(shape) == (1, 3)
    again, others = unpacked(packed_tensors(codes, params, fmt, shape), fmt, shape)
    assert torch.equal(Trellis().decode(again, others, fmt, shape=shape),
                       Trellis().decode(codes, params, fmt, shape=shape))
