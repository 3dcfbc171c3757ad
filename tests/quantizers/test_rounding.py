"""Which loops round, and the order of the memory they leave."""

import sys
from importlib.util import find_spec

import pytest
import torch

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.rounding import choose, plain
from mpsearch.quantizers.rows import Rows
from mpsearch.quantizers.uniform import Uniform

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
TENSOR = IntFormat(bits=4, granularity="tensor")


@pytest.fixture
def unseen(monkeypatch):
    monkeypatch.setattr(choose, "_seen", 0)
    monkeypatch.delitem(sys.modules, choose.COMPILED, raising=False)


@needs_numba
@pytest.mark.usefixtures("unseen")
def test_many_numbers_are_rounded_by_compiled_loops_and_few_are_not(monkeypatch):
    monkeypatch.setattr(choose, "_WORTH", 100)
    assert choose.loops_for(torch.zeros(60)) is plain
    assert choose.loops_for(torch.zeros(60)).__name__ == choose.COMPILED
    assert choose.loops_for(torch.zeros(60).bfloat16()) is plain


@pytest.mark.usefixtures("unseen")
def test_without_numba_torch_rounds(monkeypatch):
    monkeypatch.setattr(choose, "_WORTH", 0)
    monkeypatch.setattr("mpsearch.core.loops.find_spec", lambda _: None)
    assert choose.loops_for(torch.zeros(60)) is plain


@pytest.mark.parametrize("make", [
    lambda: torch.randn(4, 5, 192)[:, 1:4],
    lambda: torch.randn(4, 5, 192).transpose(0, 2),
    lambda: torch.randn(4, 197, 3, 3, 64)[:, :, 1].permute(0, 2, 1, 3),
    lambda: torch.randn(6, 3, 1).expand(6, 3, 80),
    lambda: torch.randn(7),
    lambda: torch.randn(()),
    lambda: torch.randn(3, 0, 2),
])
@pytest.mark.parametrize("granularity", ["tensor", "channel", "group:32"])
def test_rows_hold_every_number_once(make, granularity):
    x = make()
    rows = Rows.of(x, layout_of(x.shape, IntFormat(bits=4, granularity=granularity), None))
    assert rows.x.stride(-1) == 1 or rows.x.shape[-1] == 1 or not x.numel()
    assert torch.equal(rows.back(rows.x.contiguous()), x)


def test_parts_of_a_tensor_are_not_copied_before_they_are_rounded():
    x = torch.randn(4, 197, 3, 3, 64)[:, :, 1].permute(0, 2, 1, 3)
    rows = Rows.of(x, layout_of(x.shape, TENSOR, None))
    assert rows.x.data_ptr() == x.data_ptr()
    assert rows.x.shape == (4 * 197, 192)


def test_values_lie_in_memory_as_the_numbers_did():
    x = torch.randn(3, 197, 64).transpose(1, 2)
    quantizer = Uniform()
    params = quantizer.fit(x, [TENSOR])[0]
    assert quantizer.round_trip(x, params, TENSOR).stride() == x.stride()
