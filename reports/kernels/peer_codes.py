"""Weights in codes of few bits, with a scale for every block of inputs, as libraries pack them."""

from functools import lru_cache

import numpy as np

BLOCKS = (128, 64, 32)


def block_of(inputs):
    return next(each for each in BLOCKS if inputs % each == 0)


@lru_cache(maxsize=3)
def few_codes(weight, bits):
    """Codes 0 to 2**bits - 1 (2**(bits - 1) is zero) [outputs, blocks, block], and their scales."""
    outputs, inputs = weight.shape
    cut = weight.numpy().reshape(outputs, -1, block_of(inputs))
    zero = 1 << (bits - 1)
    scales = np.maximum(np.abs(cut).max(2, keepdims=True), np.float32(1e-6)) / max(zero - 1, 1)
    codes = np.clip(np.rint(cut / scales) + zero, 0, 2 * zero - 1).astype(np.uint8)
    return codes, scales


def in_bytes(codes, bits):
    """The last dimension packed, the first code lowest."""
    each = 8 // bits
    cut = codes.reshape(*codes.shape[:-1], -1, each)
    packed = np.zeros(cut.shape[:-1], np.uint8)
    for i in range(each):
        packed |= cut[..., i] << (bits * i)
    return packed
