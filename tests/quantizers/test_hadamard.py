"""The rotation: orthonormal at every length, spreading, and the same everywhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard

from mpsearch.quantizers.hadamard import rotate, rotate_back, signs
from mpsearch.quantizers.hashing import _STEP, _finalized, hashed

LENGTHS = [1, 2, 3, 7, 8, 12, 96, 192, 197]


@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_orthonormal_and_spreads_evenly(length):
    matrix = rotate(torch.eye(length), seed=5)
    assert torch.allclose(matrix @ matrix.T, torch.eye(length, dtype=torch.float64), atol=1e-12)
    assert float(matrix.abs().max()) <= math.sqrt(2 / length) + 1e-12


@pytest.mark.parametrize("length", [2, 16, 64])
def test_powers_of_two_are_hadamard_matrices_with_signs(length):
    expected = torch.from_numpy(hadamard(length) / math.sqrt(length)) * signs(length, 3)[:, None]
    assert torch.allclose(rotate(torch.eye(length), seed=3), expected, atol=1e-14)


def test_an_odd_part_is_a_hartley_matrix():
    angles = 2 * math.pi * np.outer(np.arange(5), np.arange(5)) / 5
    hartley = (np.cos(angles) + np.sin(angles)) / math.sqrt(5)
    expected = np.kron(hadamard(4) / 2, hartley) * signs(20, 1).numpy()[:, None]
    np.testing.assert_allclose(rotate(torch.eye(20), seed=1).numpy(), expected, atol=1e-14)


@given(shape=st.lists(st.integers(1, 24), min_size=1, max_size=3), seed=st.integers(0, 1 << 40),
       data=st.data())
def test_turning_back_undoes_it_along_any_dimension(shape, seed, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = rotate(x, seed, dim)
    assert turned.shape == x.shape
    assert torch.allclose(rotate_back(turned, seed, dim), x, atol=1e-12)
    assert torch.allclose(turned.square().sum(dim), x.square().sum(dim))
    assert torch.allclose(turned, rotate(x.movedim(dim, -1), seed).movedim(-1, dim), atol=1e-12)


def test_a_power_of_two_is_passed_through_exactly():
    x = torch.randn(5, 192, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rotate(x * 64, 0), rotate(x, 0) * 64)


def test_seeds_differ_and_signs_are_balanced():
    drawn = torch.stack([signs(4096, seed) for seed in range(4)])
    assert bool((drawn.abs() == 1).all())
    assert float((drawn @ drawn.T / 4096 - torch.eye(4)).abs().max()) < 0.06
    assert float(drawn.mean(1).abs().max()) < 0.06


def test_hashing_is_that_of_splitmix64():
    # the first two numbers of the published generator (Vigna's splitmix64.c) from state 0
    states = np.array([_STEP, 2 * _STEP % (1 << 64)], dtype=np.uint64)
    assert [hex(each) for each in _finalized(states)] == [
        "0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    keys = np.arange(1 << 12)
    assert len(set(hashed(keys, 0)) | set(hashed(keys, 1))) == 2 << 12
