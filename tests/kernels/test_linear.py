"""Packed linear layers: exact sums on every path, for every width and shape."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.kernels import Activation, PackedWeight, linear, linear_sums, native
from mpsearch.kernels.library import using
from mpsearch.kernels.packed import check_sums
from tests.kernels.cases import case, near

BITS = range(2, 9)
SHAPES = ((0, 3, 5), (1, 64, 8), (1, 130, 77), (2, 65, 16), (6, 70, 1100), (13, 1, 1),
          (17, 64, 200), (203, 96, 40))
WAYS = (native.FUSED, native.BUFFERED)


def sums(own, made, way=native.AUTOMATIC):
    w, a = made.weight, made.a
    return native.linear(own, a.codes, a.zero, w.stream, (w.scale, w.zero, w.sums), bits=w.bits,
                         outputs=w.outputs, group=w.group, way=way)


@pytest.mark.parametrize("bits", BITS)
def test_sums_are_those_of_int64(path, bits):
    for seed, shape in enumerate(SHAPES):
        made = case(bits, shape, seed=seed)
        for way in WAYS:
            assert torch.equal(sums(path, made, way).long(), made.steps @ made.weight_steps.T)


@pytest.mark.parametrize("bits", BITS)
def test_sums_of_the_largest_codes_neither_saturate_nor_wrap(path, bits):
    for seed in range(2):
        made = case(bits, (7, 66, 2003), seed=seed, extreme=True)
        for way in WAYS:
            assert torch.equal(sums(path, made, way).long(), made.steps @ made.weight_steps.T)


@pytest.mark.parametrize("bits", [2, 8])
def test_the_longest_sums_that_are_allowed_do_not_wrap(path, bits):
    most = (2**31 - 1) // (255 * (2**bits - 1)) // 8 * 8  # whole units
    length = min(most, 40_000)
    check_sums(most, bits)
    with pytest.raises(Unsupported, match=f"at most {most} inputs"):
        check_sums(most + 1, bits)
    weight = PackedWeight.of(torch.full((2, length), 2**bits - 1), torch.ones(1), bits=bits,
                             first=0)
    with using(path):
        for code, zero in ((127, -128), (-128, 127)):
            a = Activation(torch.full((1, length), code, dtype=torch.int8), torch.ones(1),
                           torch.tensor([zero], dtype=torch.int32))
            assert linear_sums(a, weight).tolist() == [[(code - zero) * (2**bits - 1) * length] * 2]


@settings(max_examples=60)
@given(bits=st.sampled_from(BITS), m=st.integers(0, 20), n=st.integers(1, 140),
       k=st.integers(1, 300), group=st.none() | st.integers(1, 300), seed=st.integers(0, 2**20))
def test_any_shape_on_every_path(compiled, bits, m, n, k, group, seed):
    made = case(bits, (m, n, k), group=group, seed=seed, rows_differ=bool(seed & 2))
    outs = []
    for name in ("portable", "avx2", "avxvnni", "avx512vnni", "emulated"):
        if compiled.runs(name):
            with using(compiled.at(name)):
                outs.append(linear(made.a, made.weight, made.bias))
                if made.weight.groups == 1:
                    assert torch.equal(linear_sums(made.a, made.weight).long(),
                                       made.steps @ made.weight_steps.T)
    with using(None):
        outs.append(linear(made.a, made.weight, made.bias))
    assert all(torch.equal(out, outs[0]) for out in outs)


@pytest.mark.parametrize("group", [None, 5, 9, 32, 64, 128])
@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.usefixtures("anywhere")
def test_grouped_scales_multiply_the_sums_of_their_groups(bits, group):
    made = case(bits, (5, 70, 200), group=group, seed=3)
    scale = made.weight.scales().repeat_interleave(group or 200, 1)[:, :200]
    wanted = (made.steps * made.a.scale[:, None].double()) @ (made.weight_steps * scale.double()).T
    near(linear(made.a, made.weight, made.bias), wanted + made.bias)


def test_both_ways_and_any_number_of_threads_give_the_same_bytes(path):
    before = torch.get_num_threads()
    made = case(3, (40, 200, 96), group=32, seed=1)
    w, a = made.weight, made.a
    try:
        outs = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            outs += [native.linear(path, a.codes, a.zero, w.stream, (w.scale, w.zero, w.sums),
                                   bits=3, outputs=200, group=32, scale=a.scale, way=way)
                     for way in WAYS]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(out, outs[0]) for out in outs)


@pytest.mark.usefixtures("anywhere")
def test_a_batch_gives_what_its_rows_give():
    made = case(4, (20, 70, 50), seed=2)
    whole = linear(made.a, made.weight)
    for row in range(20):
        a = Activation(made.a.codes[row], made.a.scale[row], made.a.zero[row])
        assert torch.equal(linear(a, made.weight), whole[row])


@pytest.mark.usefixtures("anywhere")
def test_leading_dimensions_and_strides_do_not_matter():
    made = case(5, (12, 65, 24), seed=4)
    wanted = linear(made.a, made.weight, made.bias)
    codes = made.a.codes
    deep = Activation(codes.view(3, 4, 24), made.a.scale, made.a.zero)
    assert torch.equal(linear(deep, made.weight, made.bias), wanted.view(3, 4, 65))
    turned = torch.empty(24, 12, dtype=torch.int8).T.copy_(codes)
    wide = torch.zeros(12, 40, dtype=torch.int8)
    wide[:, 5:29] = codes
    for other in (turned, wide[:, 5:29]):
        a = Activation(other, made.a.scale, made.a.zero)
        assert torch.equal(linear(a, made.weight, made.bias), wanted)


def test_a_packed_weight_unpacks_and_pickles():
    made = case(7, (1, 67, 100), group=36, seed=5)
    again = pickle.loads(pickle.dumps(made.weight))  # noqa: S301 - our own bytes
    assert torch.equal(again.steps().long(), made.weight_steps)
    assert torch.equal(again.stream, made.weight.stream)


@pytest.mark.parametrize("bits", BITS)
def test_a_packed_weight_takes_its_bits(bits):
    weight = case(bits, (1, 128, 64)).weight
    assert weight.stream.numel() == 128 * 64 * bits // 8


def test_what_cannot_be_packed_or_multiplied_is_said():
    codes = torch.zeros(4, 6)
    with pytest.raises(BadInput, match="2 to 8 bits, not 9"):
        PackedWeight.of(codes, torch.ones(1), bits=9, first=0)
    with pytest.raises(BadInput, match="codes from 0 to 4"):
        PackedWeight.of(torch.arange(5)[None], torch.ones(1), bits=2, first=0)
    with pytest.raises(BadInput, match="zero points from 9 to 9"):
        PackedWeight.of(codes, torch.ones(1), torch.tensor([9]), bits=3, first=0)
    with pytest.raises(BadInput, match="3 scales or zero points for 4 outputs"):
        PackedWeight.of(codes, torch.ones(3), bits=3, first=0)
    with pytest.raises(BadInput, match="nothing to multiply"):
        PackedWeight.of(torch.zeros(0, 6), torch.ones(1), bits=3, first=0)
    made = case(4, (2, 4, 6), group=2)
    with pytest.raises(BadInput, match="no sums in one unit"):
        linear_sums(made.a, made.weight)
    with pytest.raises(BadInput, match="weight with 6 inputs"):
        linear(Activation(made.a.codes[:, :5], made.a.scale, made.a.zero), made.weight)


@pytest.mark.usefixtures("anywhere")
def test_tables_may_lie_anywhere_and_are_of_any_type():
    """The kernels read them by address: what is not dense would be other numbers."""
    made = case(5, (6, 70, 24), seed=4)
    wanted = linear(made.a, made.weight, made.bias)
    def apart(x):
        return torch.stack([x, torch.zeros_like(x)], 1)[:, 0]
    a = made.a._replace(scale=apart(made.a.scale), zero=apart(made.a.zero))
    assert torch.equal(linear(a, made.weight, apart(made.bias)), wanted)
    a = made.a._replace(scale=made.a.scale.double(), zero=made.a.zero.long())
    assert torch.equal(linear(a, made.weight, made.bias.double()), wanted)


def test_tables_and_codes_that_do_not_fit_are_said():
    made = case(5, (6, 70, 24), seed=4)
    a = made.a
    with pytest.raises(BadInput, match="3 scales for 6 rows of codes"):
        linear(a._replace(scale=a.scale[:3]), made.weight)
    with pytest.raises(BadInput, match="7 zero points for 6 rows of codes"):
        linear_sums(a._replace(zero=torch.zeros(7, dtype=torch.int32)), made.weight)
    with pytest.raises(BadInput, match="a bias of 3 numbers for a weight with 70 outputs"):
        linear(a, made.weight, made.bias[:3])
    with pytest.raises(BadInput, match=r"int8 or int16, not torch\.int32: use quantize"):
        linear(a._replace(codes=a.codes.int()), made.weight)
