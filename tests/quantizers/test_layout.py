from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.layout import layout_of

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
GRANULARITIES = st.one_of(
    st.sampled_from(["tensor", "channel", "token"]), st.integers(1, 40).map("group:{}".format)
)


def arange(shape):
    return torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape)


@given(SHAPES, GRANULARITIES, st.data())
def test_cutting_loses_nothing_and_mending_restores_the_tensor(shape, granularity, data):
    axes = data.draw(st.none() | st.sets(st.integers(-len(shape), len(shape) - 1)).map(list))
    layout = layout_of(shape, IntFormat(bits=4, granularity=granularity), axes)
    x = arange(shape)
    slices = layout.to_slices(x)
    assert len(slices) == layout.slices
    assert sorted(slices[slices != 0].tolist()) == x.flatten().tolist()
    assert torch.equal(layout.from_slices(slices), x)


@given(SHAPES, GRANULARITIES)
def test_a_weight_has_as_many_scales_as_its_size_is_counted_with(shape, granularity):
    fmt = IntFormat(bits=4, granularity=granularity)
    assert layout_of(shape, fmt).slices == fmt.slices(shape)


def slices_of(shape, granularity, axes=None):
    return layout_of(shape, IntFormat(bits=4, granularity=granularity), axes).to_slices(
        arange(shape)
    ).tolist()


def test_a_channel_of_a_convolution_is_one_output_channel():
    assert slices_of((2, 2, 1, 2), "channel") == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_token_is_what_one_product_sums_over():
    assert slices_of((2, 2, 2), "token", (-1,)) == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert slices_of((2, 2, 2), "token", (-2,)) == [[1, 3], [2, 4], [5, 7], [6, 8]]
    assert slices_of((2, 2, 2), "token", (0, 2)) == [[1, 2, 5, 6], [3, 4, 7, 8]]


def test_groups_run_inside_a_channel_and_the_last_is_filled_with_zeros():
    assert slices_of((2, 5), "group:3") == [[1, 2, 3], [4, 5, 0], [6, 7, 8], [9, 10, 0]]
    assert slices_of((2, 2, 2), "group:3", (-2,)) == [[1, 3], [2, 4], [5, 7], [6, 8]]


def test_a_group_longer_than_a_channel_is_the_channel():
    assert slices_of((2, 3), "group:128") == [[1, 2, 3], [4, 5, 6]]


def test_one_scale_for_a_tensor_whatever_the_axes():
    assert slices_of((2, 2), "tensor", (-1,)) == [[1, 2, 3, 4]]
    assert slices_of((), "tensor") == [[1]]


def test_uncut_slices_are_a_view():
    x = torch.randn(4, 3, 2, 2)
    layout = layout_of(x.shape, IntFormat(bits=4, granularity="group:4"))
    assert layout.to_slices(x).data_ptr() == x.data_ptr()


def test_an_axis_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"axes \(2,\) are not all dimensions of shape \(3, 4\)"):
        layout_of((3, 4), IntFormat(bits=4), (2,))


def test_a_tensor_of_another_shape_is_refused():
    with pytest.raises(BadInput, match="laid out"):
        layout_of((3, 4), IntFormat(bits=4)).to_slices(torch.zeros(4, 3))
