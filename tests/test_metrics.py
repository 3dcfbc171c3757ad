"""Divergence, agreement and the sampled loss, by hand and for any output."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from mpsearch import metrics
from mpsearch.core.errors import BadInput

SHAPES = st.sampled_from([(3, 4), (2, 5, 4), (2, 4, 3, 2), (1, 2)])


@st.composite
def outputs(draw, count=2):
    shape, seed = draw(SHAPES), draw(st.integers(0, 1 << 20))
    generator = torch.Generator().manual_seed(seed)
    scale = draw(st.sampled_from([1e-4, 1.0, 30.0]))
    return tuple(scale * torch.randn(shape, generator=generator) for _ in range(count))


def test_two_coins_by_hand():
    fair, loaded = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert float(metrics.kl(fair, loaded)) == pytest.approx(expected, rel=1e-6)
    other_way = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(metrics.kl(loaded, fair)) == pytest.approx(other_way, rel=1e-6)


@given(outputs())
def test_divergence_is_not_negative_and_zero_for_equal_outputs(pair):
    first, second = pair
    found = metrics.kl(first, second)
    assert found.shape == (len(first),)
    assert bool((found >= 0).all())
    assert bool((metrics.kl(first, first) == 0).all())


@given(outputs())
def test_divergence_is_that_of_torch_averaged_over_positions(pair):
    first, second = pair
    dim = 1 if first.dim() == 4 else -1
    p, q = first.double().log_softmax(dim), second.double().log_softmax(dim)
    whole = F.kl_div(q, p, reduction="none", log_target=True).sum(dim)
    torch.testing.assert_close(metrics.kl(first, second), whole.reshape(len(first), -1).mean(1))


@given(outputs(), st.floats(-50, 50))
def test_a_constant_added_to_all_classes_changes_nothing(pair, constant):
    first, second = pair
    torch.testing.assert_close(metrics.kl(first, second + constant), metrics.kl(first, second),
                               rtol=1e-3, atol=1e-5)


def test_tiny_divergences_keep_their_digits():
    first = torch.zeros(1, 2)
    second = torch.tensor([[2e-5, 0.0]])
    assert float(metrics.kl(first, second)) == pytest.approx((2e-5) ** 2 / 8, rel=1e-3)


def test_maps_have_their_classes_in_the_second_dimension():
    first, second = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    as_tokens = [x.permute(0, 2, 3, 1).reshape(2, 20, 3) for x in (first, second)]
    for measure in (metrics.kl, metrics.agreement):
        torch.testing.assert_close(measure(first, second), measure(*as_tokens))
    assert metrics.class_dim(first) == 1
    assert metrics.class_dim(as_tokens[0]) == -1


def test_agreement_is_the_share_of_equal_predictions():
    first = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])
    second = torch.tensor([[[2.0, 0.0], [0.5, 0.1], [0.0, 1.0], [3.0, 2.0]]])
    assert metrics.agreement(first, second).tolist() == [0.5]
    assert metrics.agreement(first[0], second[0]).tolist() == [1.0, 0.0, 0.0, 1.0]


def test_correct_is_the_share_of_right_predictions():
    output = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert metrics.correct(output, torch.tensor([0, 0, 0])).tolist() == [1.0, 0.0, 1.0]
    dense = output.T.reshape(1, 2, 1, 3)
    assert metrics.correct(dense, torch.tensor([[[0, 1, 1]]])).tolist() == pytest.approx([2 / 3])


@given(outputs(count=1), st.integers(0, 1000))
def test_the_sampled_gradient_is_that_of_the_likelihood_of_drawn_labels(output, seed):
    (output,) = output
    dim = 1 if output.dim() == 4 else -1
    count = metrics.positions(output)
    assert count == output.numel() // len(output) // output.shape[dim]
    uniforms = torch.rand(len(output), count, dtype=torch.float64,
                          generator=torch.Generator().manual_seed(seed))
    found = metrics.sampled_gradient(output, uniforms)
    leaf = output.clone().requires_grad_()
    rows = leaf.movedim(dim, -1).reshape(-1, output.shape[dim])
    below = rows.detach().double().softmax(-1).cumsum(-1) <= uniforms.reshape(-1, 1)
    drawn = below.sum(-1).clamp(max=rows.shape[1] - 1)
    (F.cross_entropy(rows, drawn, reduction="sum") / math.sqrt(count)).backward()
    torch.testing.assert_close(found, leaf.grad, rtol=1e-4, atol=1e-6)


def test_labels_are_drawn_from_the_models_own_chances():
    output = torch.tensor([[math.log(0.7), math.log(0.2), math.log(0.1)]]).repeat(20000, 1)
    uniforms = torch.rand(20000, 1, generator=torch.Generator().manual_seed(0))
    # the gradient of a row is its chances less one at the label
    gradient = metrics.sampled_gradient(output, uniforms.double())
    assert (gradient < 0).double().mean(0).tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_the_number_picks_the_label_by_cumulated_chances():
    output = torch.tensor([[0.5, 0.3, 0.2]]).log().repeat(6, 1)
    uniforms = torch.tensor([0.0, 0.49, 0.51, 0.79, 0.81, 1 - 1e-12], dtype=torch.float64)
    gradient = metrics.sampled_gradient(output, uniforms[:, None])
    assert gradient.argmin(1).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("shape", "words"), [
    ((4,), r"shape \(4,\) has no class scores"), ((4, 1), "a single class"),
    ((4, 5, 1), "a single class"), ((4, 1, 2, 2), "a single class"),
])
def test_an_output_without_classes_is_refused(shape, words):
    for measure in (metrics.kl, metrics.agreement):
        with pytest.raises(BadInput, match=words):
            measure(torch.zeros(shape), torch.zeros(shape))


def test_labels_must_fit_the_predictions():
    with pytest.raises(BadInput, match=r"labels of shape \(2,\) .* predictions of shape \(2, 5\)"):
        metrics.correct(torch.zeros(2, 5, 3), torch.zeros(2, dtype=torch.long))
