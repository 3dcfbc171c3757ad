"""Levels and wide integers: digits, their products on every path, and where they are rounded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.kernels import (
    Activation,
    Digits,
    Ladder,
    Numbers,
    PackedWeight,
    WholeWeight,
    any_linear,
    any_matmul,
    integers,
    levels,
    linear_sums,
    nearest,
)
from mpsearch.kernels.library import using
from tests.kernels.cases import near

ONE = torch.ones(1)
TABLES = {
    "powers": [0, *(1 << k for k in range(15))],
    "far powers": [0, *(1 << k for k in range(63))],
    "signed": [-900, -70, -3, 0, 1, 200, 4000, 70_000],
    "bytes": list(range(256)),
    "two": [0, 1],
}


def table_values(whole):
    return torch.tensor([float(each) for each in whole], dtype=torch.float64)


def ladder_of(whole, unit=1.0):
    values = table_values(whole) * unit
    return Ladder.of(((values[1:] + values[:-1]) / 2).float(), [(unit, whole)])


@given(st.lists(st.integers(-2**70, 2**70), min_size=1, max_size=40))
def test_digits_are_the_numbers(numbers):
    for own in (numbers, [abs(each) for each in numbers]):
        made = Digits.of(own)
        for i, number in enumerate(own):
            digits = made.codes[:, i].tolist()
            assert sum(256**j * (d - made.zero) for j, d in enumerate(digits)) == number


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.usefixtures("anywhere")
def test_numbers_become_the_digits_of_the_nearest_level(name):
    whole, unit = TABLES[name], 2.0**-20
    ladder = ladder_of(whole, unit)
    torch.manual_seed(0)
    top = max(map(abs, whole)) * unit
    x = torch.randn(7, 203) * top / 2
    x[0, : len(ladder.bounds)] = ladder.bounds.clamp(-1e30, 1e30)[:203]
    for scale in (torch.tensor([0.75]), torch.rand(7) + 0.5):
        found = nearest(x, ladder, scale)
        ranks = torch.bucketize(x / scale.view(-1, 1), ladder.bounds)
        wanted = [whole[min(rank, len(whole) - 1)] for rank in ranks.flatten().tolist()]
        ((own, planes),) = found.strands
        assert own == unit
        parts = [(a.codes.flatten().tolist(), int(a.zero)) for a in planes]
        made = [sum(256**j * (codes[i] - zero) for j, (codes, zero) in enumerate(parts))
                for i in range(x.numel())]
        assert made == wanted


@pytest.mark.parametrize("shape", [(3, 7, 5), (1, 64, 64), (0, 3, 4), (5, 130, 333)])
@pytest.mark.parametrize("name", ["powers", "signed", "bytes"])
@pytest.mark.usefixtures("anywhere")
def test_tables_of_weights_multiply_exactly(shape, name):
    whole, bits = TABLES[name], max(2, (len(TABLES[name]) - 1).bit_length())
    m, n, k = shape
    torch.manual_seed(n)
    codes = torch.randint(0, len(whole), (n, k), dtype=torch.int32)
    weight = levels(codes, [(1.0, whole)], ONE, bits=bits)
    x = torch.randint(-128, 128, (m, k), dtype=torch.int32)
    a = Activation(x.to(torch.int8), ONE, torch.tensor([5], dtype=torch.int32))
    made = any_linear(a, weight)
    wanted = (x.long() - 5) @ torch.tensor(whole)[codes.long()].T
    assert torch.equal(made, wanted.double().float())
    if isinstance(weight, PackedWeight):
        assert torch.equal(linear_sums(a, weight).long(), wanted)


@settings(max_examples=15)
@given(m=st.integers(0, 9), n=st.integers(1, 80), k=st.integers(1, 90), bits=st.integers(2, 8),
       seed=st.integers(0, 2**20), threads=st.sampled_from([1, 3]))
def test_both_sides_in_levels_are_the_same_everywhere(compiled, m, n, k, bits, seed, threads):
    draw = torch.Generator().manual_seed(seed)
    whole = sorted(torch.randint(-2**17, 2**17, (1 << bits,), generator=draw).tolist())
    codes = torch.randint(0, 1 << bits, (n, k), generator=draw, dtype=torch.int32)
    weight = levels(codes, [(1.0, whole)], ONE, bits=bits)
    x = torch.rand(m, k, generator=draw) * 2.0**15
    outs, before = [], torch.get_num_threads()
    torch.set_num_threads(threads)
    for own in [compiled.at(name) for name in ("portable", "avx2", "avxvnni", "avx512vnni",
                                               "emulated") if compiled.runs(name)] + [None]:
        with using(own):
            a = nearest(x, ladder_of(TABLES["powers"]), ONE)
            outs.append(any_linear(a, weight))
    torch.set_num_threads(before)
    assert all(torch.equal(out, outs[0]) for out in outs)
    powers, bounds = torch.tensor(TABLES["powers"]), ladder_of(TABLES["powers"]).bounds
    exact = powers[torch.bucketize(x, bounds)] @ torch.tensor(whole)[codes.long()].T
    assert torch.equal(outs[0], exact.double().float())


@pytest.mark.usefixtures("anywhere")
def test_grouped_tables_and_two_strands_are_right_to_float32():
    torch.manual_seed(1)
    codes, scale = torch.randint(0, 8, (40, 100), dtype=torch.int32), torch.rand(40, 4) + 0.5
    strands = [(1.0, [0, 0, 300, 0, 70_000, 0, 1, 2]), (0.7, [0, 9, 0, 8, 0, 1 << 33, 0, 0])]
    weight = levels(codes, strands, scale, bits=3, group=32)
    x = torch.randint(-128, 128, (3, 100), dtype=torch.int32)
    values = sum(table_values(whole) * unit for unit, whole in strands)
    spread = scale.repeat_interleave(32, 1)[:, :100].double()
    made = any_linear(Activation(x.to(torch.int8), ONE, torch.zeros(1, dtype=torch.int32)), weight)
    near(made, x.double() @ (values[codes.long()] * spread).T)


@pytest.mark.parametrize(("bits", "first"), [(9, -256), (12, 0), (16, -32768), (16, 0)])
@pytest.mark.usefixtures("anywhere")
def test_integers_of_more_than_a_byte_multiply_exactly(bits, first):
    draw = torch.Generator().manual_seed(bits)
    last = first + (1 << bits) - 1
    codes = torch.randint(first, last + 1, (70, 50), generator=draw, dtype=torch.int32)
    codes[0], codes[1] = first, last
    zero = torch.full((70,), 0 if first else 7, dtype=torch.int32)
    weight = integers(codes, torch.ones(70), zero, bits=bits, first=first)
    x = torch.randint(-32768, 32768, (4, 50), generator=draw)
    a = Activation(x.to(torch.int16), ONE, torch.tensor([-9], dtype=torch.int32))
    wanted = (x + 9) @ (codes - zero[:, None]).long().T
    assert torch.equal(any_linear(a, weight), wanted.double().float())
    other = Activation(codes.to(torch.int16) if first else (codes >> 1).to(torch.int16), ONE,
                       torch.zeros(1, dtype=torch.int32))
    wanted = (x + 9) @ other.codes.long().T
    assert torch.equal(any_matmul(a, other), wanted.double().float())


@pytest.mark.usefixtures("anywhere")
def test_sums_that_int32_cannot_hold_are_cut_and_added_in_more():
    length = 70_003
    a = Activation(torch.full((2, length), 127, dtype=torch.int8), ONE,
                   torch.tensor([-128], dtype=torch.int32))
    codes = torch.full((3, length), 127, dtype=torch.int32)
    weight = integers(codes, torch.ones(3), torch.full((3,), -128, dtype=torch.int32), bits=8,
                      first=-128)
    assert isinstance(weight, WholeWeight)
    wanted = 255 * 255 * length
    assert wanted > 2**32
    rounded = torch.tensor(wanted, dtype=torch.float64).float()
    assert bool((any_linear(a, weight) == rounded).all())
    assert bool((any_matmul(a, a) == rounded).all())


@pytest.mark.usefixtures("anywhere")
def test_a_shift_and_a_row_of_scales_are_part_of_products():
    torch.manual_seed(2)
    ladder = ladder_of(TABLES["powers"], 2.0**-14)
    x, y = torch.rand(2, 5, 33) - 0.2, torch.randn(2, 33, 6).transpose(1, 2)
    scale = torch.tensor([1.25])
    a = nearest(x, ladder, scale, -0.2)
    b = nearest(y, ladder_of(TABLES["signed"], 2.0**-15), torch.rand(12) + 1)
    bounds = torch.bucketize((x - torch.tensor(-0.2)) / scale, ladder.bounds)
    left = table_values(TABLES["powers"])[bounds] * 2.0**-14 * 1.25 - 0.2
    own = b.scale.view(2, 6, 1)
    other = ladder_of(TABLES["signed"], 2.0**-15)
    right = table_values(TABLES["signed"])[torch.bucketize(y / own, other.bounds)] * 2.0**-15 * own
    near(any_matmul(a, b), left @ right.transpose(1, 2))
    near(any_matmul(b, a), right @ left.transpose(1, 2))


@pytest.mark.usefixtures("anywhere")
def test_numbers_that_are_not_finite_are_told():
    x = torch.zeros(3, 70)
    x[2, 69] = torch.inf
    with pytest.raises(BadInput, match="the input of x"):
        nearest(x, ladder_of(TABLES["powers"]), ONE, where="the input of x")


def test_sixteen_bit_codes_are_two_digits():
    x = torch.tensor([[-32768, -1, 0, 255, 32767]])
    a = Numbers.of(Activation(x.to(torch.int16), ONE, torch.tensor([300], dtype=torch.int32)))
    ((unit, planes),) = a.strands
    made = sum(256**j * (p.codes.int() - p.zero) for j, p in enumerate(planes))
    assert unit == 1
    assert torch.equal(made.long(), x - 300)

