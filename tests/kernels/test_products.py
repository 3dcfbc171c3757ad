"""Products of two activations, and activations of 16 bits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.kernels import (
    Activation,
    PackedWeight,
    linear,
    linear_sums,
    matmul,
    matmul_sums,
    quantize,
)
from mpsearch.kernels.library import using
from tests.kernels.cases import case, near


def activation(shape, seed, *, rows=True, bits=8):
    draw = torch.Generator().manual_seed(seed)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    own = shape[:-1] if rows else (1,)
    return Activation(
        torch.randint(low, high + 1, shape, generator=draw).to(
            torch.int8 if bits == 8 else torch.int16),
        torch.rand(own, generator=draw).flatten() + 0.5,
        torch.randint(low, high + 1, own, generator=draw, dtype=torch.int32).flatten())


def steps(a):
    zero = a.zero.view(*a.codes.shape[:-1], 1) if a.zero.numel() != 1 else a.zero
    return a.codes.long() - zero


def numbers_of(a):
    scale = a.scale.view(*a.codes.shape[:-1], 1) if a.scale.numel() != 1 else a.scale
    return steps(a).double() * scale.double()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 65, 8), (3, 17, 64, 33), (0, 2, 3, 4),
                                   (2, 0, 3, 4), (1, 200, 130, 1100)])
@pytest.mark.usefixtures("anywhere")
def test_products_are_those_of_int64(shape):
    batch, m, n, k = shape
    for rows in (True, False):
        a, b = activation((batch, m, k), 1, rows=rows), activation((batch, n, k), 2, rows=rows)
        assert torch.equal(matmul_sums(a, b).long(), steps(a) @ steps(b).transpose(1, 2))
        near(matmul(a, b), numbers_of(a) @ numbers_of(b).transpose(1, 2))


@pytest.mark.usefixtures("anywhere")
def test_attention_reads_its_operands_where_they_lie():
    """Heads as views of [batch, tokens, heads * width], values transposed."""
    batch, tokens, heads, width = 2, 21, 3, 16
    q, k, v = (activation((batch, tokens, heads * width), seed, rows=False) for seed in range(3))
    split = [Activation(x.codes.view(batch, tokens, heads, width).transpose(1, 2), x.scale, x.zero)
             for x in (q, k, v)]
    scores = matmul_sums(split[0], split[1])
    assert torch.equal(scores.long(), steps(split[0]) @ steps(split[1]).transpose(-1, -2))
    p = activation((batch, heads, tokens, tokens), 7, rows=True)
    values = split[2]._replace(codes=split[2].codes.transpose(-1, -2))
    assert torch.equal(matmul_sums(p, values).long(),
                       steps(p) @ steps(values).transpose(-1, -2))


@settings(max_examples=30)
@given(m=st.integers(0, 20), n=st.integers(1, 140), k=st.integers(1, 150),
       batch=st.integers(0, 3), turned=st.booleans(), seed=st.integers(0, 2**20))
def test_any_product_on_every_path(compiled, m, n, k, batch, turned, seed):
    a, b = activation((batch, m, k), seed), activation((batch, n, k), seed + 1)
    if turned:
        a, b = (x._replace(codes=x.codes.transpose(1, 2).contiguous().transpose(1, 2))
                for x in (a, b))
    outs = []
    for name in ("portable", "avx2", "avxvnni", "avx512vnni", "emulated"):
        if compiled.runs(name):
            with using(compiled.at(name)):
                assert torch.equal(matmul_sums(a, b).long(), steps(a) @ steps(b).transpose(1, 2))
                outs.append(matmul(a, b))
    with using(None):
        outs.append(matmul(a, b))
    assert all(torch.equal(out, outs[0]) for out in outs)


def test_products_that_do_not_fit_are_said():
    a = activation((2, 3, 4), 0)
    with pytest.raises(BadInput, match="do not multiply"):
        matmul(a, activation((2, 3, 5), 0))
    with pytest.raises(BadInput, match="do not multiply"):
        matmul_sums(a, activation((3, 3, 4), 0))
    with pytest.raises(BadInput, match="3 scales for 6 rows of codes"):
        matmul(a._replace(scale=a.scale[:3]), a)
    with pytest.raises(BadInput, match="8-bit codes"):
        matmul(a, activation((2, 3, 4), 0, bits=16))
    with pytest.raises(Unsupported, match="may not fit 32 bits"):
        matmul(activation((1, 1, 34_000), 0), activation((1, 1, 34_000), 0))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.usefixtures("anywhere")
def test_16_bit_activations_are_exact(bits):
    made = case(bits, (5, 66, 300), seed=bits, extreme=True)
    for a in (activation((5, 300), bits, bits=16), activation((5, 300), bits, rows=False, bits=16),
              Activation(torch.full((5, 300), 32767, dtype=torch.int16), torch.ones(1),
                         torch.tensor([-32768], dtype=torch.int32))):
        sums = linear_sums(a, made.weight)
        assert sums.dtype == torch.int64
        assert torch.equal(sums, steps(a) @ made.weight_steps.T)
        near(linear(a, made.weight, made.bias), numbers_of(a) @ (
            made.weight_steps * made.weight.scales().double()).T + made.bias)


@pytest.mark.usefixtures("anywhere")
def test_16_bit_activations_of_grouped_weights_are_right_to_float32():
    made = case(4, (3, 70, 100), group=32, seed=3)
    a = activation((3, 100), 5, bits=16)
    scale = made.weight.scales().repeat_interleave(32, 1)[:, :100].double()
    near(linear(a, made.weight, made.bias),
         numbers_of(a) @ (made.weight_steps * scale).T + made.bias)


@pytest.mark.usefixtures("anywhere")
def test_quantized_numbers_multiply_like_the_numbers():
    x, w = torch.randn(6, 64), torch.randn(20, 64)
    codes = quantize(w, -128, 127)
    weight = PackedWeight.of(codes.codes, codes.scale, bits=8, first=-128)
    for symmetric, code_range in ((True, (-128, 127)), (False, (0, 255)), (False, (0, 65535))):
        y = linear(quantize(x, *code_range, symmetric=symmetric), weight)
        assert float((y - x @ w.T).abs().max()) < 0.5
