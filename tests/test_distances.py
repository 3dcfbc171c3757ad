"""Measures of a changed output by name: zero for equal outputs, larger for worse, one a sample."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional as F  # noqa: N812

from mpsearch import metrics, plugins
from mpsearch.core.errors import BadInput

SHAPES = {"kl": (4, 5), "top1": (4, 6, 5), "cosine": (4, 3, 8), "sqnr": (4, 7),
          "ssim": (4, 3, 9, 8)}


def pair(shape, scale=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randn(shape, generator=generator)
    return reference, reference + scale * torch.randn(shape, generator=generator)


@pytest.fixture(params=SHAPES)
def named(request):
    return plugins.load("metric", request.param), SHAPES[request.param]


def test_every_name_is_tested_here():
    assert set(plugins.BUILTIN["metric"]) == set(SHAPES)


def test_equal_outputs_are_at_distance_zero_exactly(named):
    metric, shape = named
    for scale in (1e-4, 1.0, 3e3):
        reference = scale * pair(shape)[0]
        assert metric(reference, reference.clone()).tolist() == [0.0] * 4
    if metric is not metrics.dissimilarity:  # an image without range has no structure
        assert metric(torch.zeros(shape), torch.zeros(shape)).tolist() == [0.0] * 4


def test_more_noise_is_further_away(named):
    metric, shape = named
    means = [float(torch.stack([metric(*pair(shape, scale, seed)) for seed in range(20)]).mean())
             for scale in (0.01, 0.1, 0.5, 2.0)]
    assert means == sorted(means)
    assert means[0] < means[-1] / 5


def test_samples_do_not_know_of_each_other(named):
    metric, shape = named
    reference, output = pair(shape)
    found = metric(reference, output)
    assert found.shape == (4,)
    assert found.dtype == torch.float64
    alone = [metric(reference[n:n + 1], output[n:n + 1]) for n in range(4)]
    torch.testing.assert_close(found, torch.cat(alone))


def test_top1_is_the_share_of_changed_predictions():
    reference = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.0, 5.0]]])
    output = torch.tensor([[[2.0, 0.0], [0.5, 0.1], [0.0, 1.0], [0.0, 1.0]]])
    assert metrics.disagreement(reference, output).tolist() == [0.5]


def test_cosine_is_one_minus_that_of_torch():
    reference, output = pair((6, 4, 5), 2.0)
    expected = 1 - F.cosine_similarity(reference.double().flatten(1), output.double().flatten(1))
    torch.testing.assert_close(metrics.cosine(reference, output), expected)
    torch.testing.assert_close(metrics.cosine(reference, -2 * reference),
                               torch.full((6,), 2.0, dtype=torch.float64))


def test_cosine_of_nothing_differs_from_something():
    zeros, ones = torch.zeros(1, 3), torch.ones(1, 3)
    assert metrics.cosine(zeros, ones).tolist() == metrics.cosine(ones, zeros).tolist() == [1.0]


def test_sqnr_is_noise_over_signal():
    reference, output = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[3.0, 3.0], [1, 0.5]])
    assert metrics.noise(reference, output).tolist() == pytest.approx([1 / 25, 0.25])


def structural_similarity(a, b, size):
    """Of one channel: sample covariances in windows that lie within the image."""
    span = a.max() - a.min()
    a, b = a[0], b[0]

    def mean(values):
        inside = uniform_filter(values, size)
        low, high = size // 2, (size - 1) // 2
        return inside[low:len(values) - high, low:values.shape[1] - high]

    ux, uy = mean(a), mean(b)
    unbiased = size**2 / (size**2 - 1)
    vx, vy, vxy = (unbiased * (mean(x * y) - m * n)
                   for x, y, m, n in ((a, a, ux, ux), (b, b, uy, uy), (a, b, ux, uy)))
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return (((2 * ux * uy + c1) * (2 * vxy + c2))
            / ((ux**2 + uy**2 + c1) * (vx + vy + c2))).mean()


@pytest.mark.parametrize(("height", "width", "size"), [(16, 12, 7), (7, 7, 7), (5, 9, 5), (9, 3, 3),
                                                       (4, 6, 4)])
def test_ssim_is_that_of_windows_by_a_uniform_filter(height, width, size):
    reference, output = pair((3, 1, height, width))
    expected = [1 - structural_similarity(a.double().numpy(), b.double().numpy(), size)
                for a, b in zip(reference, output, strict=True)]
    assert metrics.dissimilarity(reference, output).tolist() == pytest.approx(expected, rel=1e-6)


def test_ssim_of_several_channels_is_their_mean_under_one_range():
    reference, output = pair((1, 2, 9, 9))
    reference[:, 1] *= 3
    span = float(reference.max() - reference.min())
    apart = [1 - by_covariance(a.double().numpy(), b.double().numpy(), span)
             for a, b in zip(reference[0], output[0], strict=True)]
    found = float(metrics.dissimilarity(reference, output))
    assert found == pytest.approx(np.mean(apart), rel=1e-6)


def by_covariance(a, b, span):
    windows = [np.lib.stride_tricks.sliding_window_view(each, (7, 7)).reshape(-1, 49)
               for each in (a, b)]
    found = []
    for x, y in zip(*windows, strict=True):
        (vx, vxy), (_, vy) = np.cov(x, y)
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        found.append((2 * x.mean() * y.mean() + c1) * (2 * vxy + c2)
                     / ((x.mean()**2 + y.mean()**2 + c1) * (vx + vy + c2)))
    return np.mean(found)


def test_ssim_compares_images_only():
    with pytest.raises(BadInput, match=r"shape \(2, 5\): choose another metric"):
        metrics.dissimilarity(torch.zeros(2, 5), torch.zeros(2, 5))
