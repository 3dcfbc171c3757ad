"""Output channels are found wherever a stored weight has them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.fx import Graph

from mpsearch.graph.orientation import changed_rows, summed_dims, weight_rows

aten = torch.ops.aten


def path_of(*steps):
    """Nodes of the given operations, each on the result of the one before."""
    graph = Graph()
    node = graph.placeholder("stored")
    nodes = []
    for target, *arguments in steps:
        node = graph.call_function(target, (node, *arguments))
        nodes.append(node)
    return nodes


@pytest.mark.parametrize(("shape", "steps", "axes", "summed"), [
    ((5, 7), [], (-1,), (1,)),
    ((5, 7), [(aten.t.default,)], (-1,), (0,)),
    ((5, 7), [(aten.t.default,)], (-2,), (1,)),
    ((5, 7), [(aten.transpose.int, 0, 1), (aten.transpose.int, 0, 1)], (-2,), (0,)),
    ((5, 7), [(aten.permute.default, [1, 0]), (aten.clone.default,)], (-2,), (1,)),
    ((9, 7), [(aten.slice.Tensor, 0, 3, 6)], (-1,), (1,)),
    ((3, 5, 7), [], (-2,), (1,)),
    ((3, 5, 7), [(aten.select.int, 0, 2)], (-1,), (2,)),
    ((3, 5, 7), [(aten.transpose.int, 1, 2)], (-2,), (2,)),
    ((7, 4, 5), [(aten.view.default, [7, 20])], (-2,), (0,)),
    ((4, 5, 7), [(aten.view.default, [20, 7])], (-1,), (2,)),
    ((4, 7, 5), [(aten.permute.default, [1, 0, 2]), (aten.reshape.default, [7, 20])], (-2,), (1,)),
    ((5, 7), [(aten.view.default, [5, 7, 1, 1])], (1, 2, 3), (1,)),
    ((5, 7, 1, 1), [(aten.view.default, [5, 7])], (-1,), (1, 2, 3)),
    ((7,), [(aten.unsqueeze.default, 1)], (-2,), (0,)),
    ((6, 4), [(aten.view.default, [8, 3])], (-1,), None),
])
def test_summed_dimensions_are_followed_through_moves(shape, steps, axes, summed):
    assert summed_dims(shape, path_of(*steps), axes) == summed


@given(dims=st.integers(1, 4), data=st.data())
def test_rows_are_a_rearrangement_that_can_be_undone(dims, data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=dims, max_size=dims))
    summed = tuple(sorted(data.draw(st.sets(st.integers(0, dims - 1)))))
    weight = torch.randn(shape)
    rows = weight_rows(weight, summed)
    kept = [size for dim, size in enumerate(shape) if dim not in summed]
    assert len(rows) == torch.Size(kept).numel()
    assert torch.equal(changed_rows(weight, lambda x: 2 * x, summed), 2 * weight)


def test_each_row_is_one_output_channel():
    weight = torch.randn(3, 4, 5)  # 3 experts with 4 inputs and 5 outputs
    rows = weight_rows(weight, (1,))
    assert torch.equal(rows[1 * 5 + 2], weight[1, :, 2])
    largest = changed_rows(weight, lambda x: x.amax(1, keepdim=True).expand(x.shape), (1,))
    assert torch.equal(largest, weight.amax(1, keepdim=True).expand(3, 4, 5))
    assert largest.is_contiguous()  # as it is stored, for views that follow
