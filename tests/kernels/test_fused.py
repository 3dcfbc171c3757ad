"""Products with what follows them in one call: the bits of the calls in turn, on every path."""

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.kernels import fused, linear, matmul
from mpsearch.kernels.coding import Coding
from mpsearch.kernels.functions import gelu, softmax
from mpsearch.kernels.fused import linear_codes, linear_followed
from tests.kernels.cases import case

STATIC = Coding(first=0, last=255, symmetric=False, scale=0.4, zero=130, where="the rows")
NARROW = Coding(first=-8, last=7, scale=1.5)
ROWS = Coding(first=-128, last=127)
LOW = Coding(first=0, last=15, symmetric=False)
CHANCE = Coding(first=0, last=255, symmetric=False, scale=0.004)


def scaled(made):
    """The case's activation with scales that keep outputs near GELU's bend."""
    return made.a._replace(scale=made.a.scale * 1e-3)


@pytest.mark.parametrize(("bits", "group"), [(2, None), (4, 24), (5, None), (7, None), (8, 16)])
@pytest.mark.usefixtures("anywhere")
def test_what_follows_a_linear_layer(bits, group):
    for seed, shape in enumerate(((0, 5, 48), (1, 70, 48), (7, 64, 31), (50, 130, 48))):
        made = case(bits, shape, group=group, seed=seed)
        a, weight = scaled(made), made.weight
        add = torch.randn(shape[0], shape[1])
        for bias in (None, made.bias):
            plain = linear(a, weight, bias)
            assert torch.equal(linear_followed(a, weight, bias, gelu=True), gelu(plain))
            assert torch.equal(linear_followed(a, weight, bias, add=add), plain + add)
            both = linear_followed(a, weight, bias, gelu=True, add=add)
            assert torch.equal(both, gelu(plain) + add)
            for coding in (STATIC, NARROW, ROWS):
                found = linear_codes(a, weight, bias, coding, gelu=True)
                assert all(map(torch.equal, found, coding(gelu(plain))))
                assert all(map(torch.equal, linear_codes(a, weight, bias, coding), coding(plain)))


def test_what_is_added_may_have_another_shape():
    made = case(4, (6, 9, 16))
    plain = linear(made.a, made.weight, made.bias)
    for add in (torch.randn(9), torch.randn(6, 9).T.contiguous().T, torch.randn(6, 9).double()):
        assert torch.equal(linear_followed(made.a, made.weight, made.bias, add=add), plain + add)


def in_turn(query, key, value, codings, *, factor, causal):
    """Operations by themselves."""
    logits = matmul(codings[0](query), codings[1](key)) * factor
    if causal:
        logits = logits.masked_fill(torch.ones(logits.shape[-2:]).tril() == 0, -torch.inf)
    return matmul(codings[2](softmax(logits)), codings[3](value.transpose(-2, -1)))


SIZES = ((1, 1, 1, 1, 1, 1), (2, 3, 30, 70, 20, 66), (1, 2, 65, 7, 64, 32), (1, 1, 50, 200, 9, 3))


@pytest.mark.parametrize("codings", [(STATIC, STATIC, CHANCE, STATIC), (ROWS, ROWS, LOW, LOW),
                                     (LOW, NARROW, ROWS, STATIC)], ids=str)
@pytest.mark.usefixtures("anywhere")
def test_attention_in_one_call(codings):
    draw = torch.Generator().manual_seed(3)
    for batch, heads, rows, keys, width, values in SIZES:
        packed = torch.randn(batch, keys, 2, heads, max(width, values), generator=draw) * 9
        query = torch.randn(batch, rows, heads, width, generator=draw).transpose(1, 2) * 9
        key = packed[:, :, 0, :, :width].transpose(1, 2)
        value = packed[:, :, 1, :, :values].transpose(1, 2)
        for causal in (False, True):
            given = query, key, value, codings
            wanted = in_turn(*given, factor=0.05, causal=causal)
            found = fused.attention(*given, factor=0.05, causal=causal)
            assert torch.equal(found, wanted)
            coded = fused.attention(*given, factor=0.05, causal=causal, out=STATIC)
            assert all(map(torch.equal, coded, STATIC(wanted)))


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_change_a_bit(compiled, threads):
    from mpsearch.kernels.library import using

    made = case(4, (70, 130, 64))
    query, key, value = torch.randn(3, 1, 3, 100, 16)
    codings = STATIC, ROWS, CHANCE, ROWS

    def run():
        return (*linear_codes(scaled(made), made.weight, made.bias, STATIC, gelu=True),
                linear_followed(made.a, made.weight, add=torch.ones(70, 130)),
                fused.attention(query, key, value, codings, factor=0.3))

    with using(compiled):
        torch.set_num_threads(1)
        one = run()
        torch.set_num_threads(threads)
        try:
            assert all(map(torch.equal, run(), one))
        finally:
            torch.set_num_threads(1)


@pytest.mark.usefixtures("anywhere")
def test_numbers_that_are_not_finite_are_told_by_name():
    made = case(4, (3, 9, 16))
    bias = made.bias.clone()
    bias[7] = torch.nan
    with pytest.raises(BadInput, match="cannot quantize the rows"):
        linear_codes(made.a, made.weight, bias, STATIC)
    query, key, value = torch.randn(3, 1, 1, 5, 8)
    for wrong in range(3):
        names = [Coding(first=-128, last=127, where=name) for name in ("q", "k", "p", "v")]
        given = [query, key, value]
        given[wrong] = given[wrong].clone()
        given[wrong][0, 0, 2, 3] = torch.inf
        with pytest.raises(BadInput, match=f"cannot quantize {'qkv'[wrong]}:"):
            fused.attention(*given, names, factor=1.0)
