"""The Triton kernels: on a GPU where there is one, else by Triton's interpreter on the CPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

NO_GPU = not torch.cuda.is_available()


@pytest.fixture(scope="session")
def device():
    """Where kernels run."""
    return torch.device("cpu" if NO_GPU else "cuda")


@pytest.fixture(scope="session")
def face():
    """The kernels."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from mpsearch.kernels.gpu import face

    return face


@pytest.fixture
def in_triton(face, monkeypatch):
    """Operators on CPU tensors go through Triton's interpreter, as on a GPU through Triton."""
    if not NO_GPU:
        pytest.skip("a GPU is there, and test_device.py runs on it")
    from mpsearch.kernels import ops

    called = []

    def linear(codes, scale, zero, weight, bias):
        called.append("linear")
        return face.linear(codes, scale, zero, weight.in_words(), bias)

    def linear_sums(codes, zero, weight):
        called.append("linear_sums")
        return face.linear_sums(codes, zero, weight.in_words())

    own = SimpleNamespace(linear=linear, linear_sums=linear_sums, batched=face.batched,
                          batched_sums=face.batched_sums, depthwise=face.depthwise,
                          quantize=face.quantize)
    monkeypatch.setattr(ops, "direct", lambda _: None)
    monkeypatch.setattr(ops, "_compiled", lambda _: None)
    monkeypatch.setattr(ops, "plain", lambda _: own)
    return called
