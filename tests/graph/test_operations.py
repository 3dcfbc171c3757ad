"""Attention in the open computes what the fused operation computes."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as fused

from mpsearch.graph.operations import argument, attention

MASK = torch.tensor([[0.0, -torch.inf, 1.0], [2.0, 0.0, 0.0]])


def operands(heads=4, kv_heads=4):
    torch.manual_seed(0)
    return (torch.randn(2, heads, 2, 5), torch.randn(2, kv_heads, 3, 5),
            torch.randn(2, kv_heads, 3, 6))


def in_the_open(qkv, *args, **kwargs):
    return attention((*qkv, *args), kwargs, query_key={}, probability_value={})


@pytest.mark.parametrize("options", [
    {}, {"scale": 0.3}, {"scale": 0.0}, {"is_causal": True}, {"attn_mask": MASK},
    {"attn_mask": MASK == 0}, {"attn_mask": MASK, "scale": 2.0}, {"dropout_p": 0.0},
])
def test_it_equals_the_fused_operation(options):
    qkv = operands()
    torch.testing.assert_close(in_the_open(qkv, **options), fused(*qkv, **options))


def test_positional_options_count():
    qkv = operands()
    torch.testing.assert_close(in_the_open(qkv, MASK, 0.0, False), fused(*qkv, MASK))
    torch.testing.assert_close(in_the_open(qkv, None, 0.0, True), fused(*qkv, is_causal=True))


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_heads_share_keys_and_values(kv_heads):
    qkv = operands(kv_heads=kv_heads)
    torch.testing.assert_close(in_the_open(qkv, enable_gqa=True), fused(*qkv, enable_gqa=True))


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_a_query_that_may_look_at_nothing_finds_nothing(kind):
    keep = torch.tensor([[True, False, True], [False, False, False]])
    mask = keep if kind is torch.bool else torch.zeros(2, 3).masked_fill(~keep, -torch.inf)
    qkv = operands()
    found = in_the_open(qkv, attn_mask=mask)
    torch.testing.assert_close(found, fused(*qkv, attn_mask=mask))
    assert not found[:, :, 1].any()


def test_each_operand_is_changed_on_its_own():
    q, k, v = operands()
    seen = {}

    def note(name):
        def change(x):
            seen[name] = x
            return 2 * x
        return change

    found = attention((q, k, v), {"scale": 1.0},
                      query_key={"input": note("q"), "other": note("k")},
                      probability_value={"input": note("p"), "other": note("v")})
    chances = (2 * q @ (2 * k).transpose(-2, -1)).softmax(-1)
    assert seen["q"] is q
    assert seen["k"] is k
    assert seen["v"] is v
    torch.testing.assert_close(seen["p"], chances)
    torch.testing.assert_close(found, 2 * chances @ (2 * v))


def test_arguments_are_found_by_place_or_name():
    graph = torch.fx.Graph()
    x, w = graph.placeholder("x"), graph.placeholder("w")
    linear = graph.call_function(torch.ops.aten.linear.default, (x,), {"weight": w})
    assert argument(linear, 0) is x
    assert argument(linear, 1) is w
    assert argument(linear, 2) is None
