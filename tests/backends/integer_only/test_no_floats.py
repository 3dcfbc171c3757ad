"""Not one floating-point operation between the quantized input and the logits."""

from functools import cache

import pytest
import timm
import torch
from torch import nn

from mpsearch.zoo import digits


@cache
def vit_tiny():
    """ViT-Tiny but for its image size and number of blocks, which no operation depends on."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4)
    return network, (torch.randn(2, 3, 64, 64),)


@cache
def embedded():
    images, _ = digits.portion("test")
    return digits.model(), (images[:16],)


@pytest.mark.parametrize(("network", "gelu"), [
    (vit_tiny, "tanh"), (embedded, "tanh"), (embedded, "lambda"), (embedded, "shift")])
def test_no_operation_sees_or_makes_a_float(integers, no_floats, network, gelu):
    module, args = network()
    whole = integers(module, args, gelu=gelu).whole
    codes = whole.quantized(args)
    with no_floats() as watch:
        logits = whole.integers(codes)
    assert watch.found == []
    assert len(watch.seen) > 500
    assert logits.dtype == whole.compiled.grid.dtype
    assert len(whole.compiled.steps.steps) > 60


@pytest.mark.parametrize("wrong", [
    lambda x: x.double().long(), lambda x: (x * 0.5).long(), lambda x: (x / 3).long(),
    lambda x: x.to(torch.float16).to(torch.int8), lambda x: x.clamp(max=2.5).long(),
    lambda x: torch.where(x > 0, 1.0, 0.0).long(),
    lambda x: nn.functional.pad(x, (1, 1), value=0.5)])
def test_the_watch_sees_floats(no_floats, wrong):
    with no_floats() as watch:
        wrong(torch.arange(5))
    assert watch.found


def test_the_simulated_backend_is_full_of_them(integers, no_floats):
    module, args = embedded()
    simulated = integers(module, args).simulated
    with no_floats() as watch:
        simulated(*args)
    assert len(watch.found) > 100
