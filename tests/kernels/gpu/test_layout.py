"""How a GPU's weights lie in memory."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import Unsupported
from mpsearch.kernels.gpu import layout
from tests.kernels.cases import case


@given(st.integers(2, 8), st.integers(1, 70), st.integers(1, 100), st.integers(1, 100),
       st.integers(0, 9))
def test_codes_come_back(bits, outputs, inputs, group, seed):
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 1 << bits, (outputs, inputs), generator=draw, dtype=torch.int32)
    own = min(group, inputs)
    words = layout.words_of(codes, bits, own)
    groups = -(-inputs // own)
    columns = -(-outputs // 64) * 64
    assert words.dtype == torch.int32
    assert words.numel() == groups * layout.run_of(own) // 32 * bits * columns
    back = layout.codes_of(words, bits, own, groups)
    assert torch.equal(back[:outputs, :inputs], codes)
    assert not back[outputs:].any()


def test_a_plane_of_four_bits_has_eight_inputs_a_word_and_outputs_side_by_side():
    codes = torch.zeros(64, 32, dtype=torch.int32)
    codes[5, 9] = 0b1101011
    words = layout.words_of(codes, 7, 32)
    four, two, one = words[:256].view(4, 64), words[256:384].view(2, 64), words[384:].view(1, 64)
    places = [plane.nonzero().tolist() for plane in (four, two, one)]
    assert places == [[[1, 5]], [[0, 5]], [[0, 5]]]
    assert (four[1, 5], two[0, 5], one[0, 5]) == (0b1011 << 4, 0b10 << 18, 1 << 9)


@pytest.mark.parametrize(("bits", "group"), [(3, None), (8, 24), (5, 64)])
def test_a_packed_weight_goes_to_words_and_back(bits, group):
    weight = case(bits, (1, 70, 100), group=group, seed=bits).weight
    there = weight.in_words()
    assert torch.equal(there.steps(), weight.steps())
    assert torch.equal(there.to("cpu").stream, weight.stream)
    assert torch.equal(pickle.loads(pickle.dumps(there)).stream, there.stream)  # noqa: S301


def test_other_devices_are_refused_in_a_line():
    with pytest.raises(Unsupported, match=r"no integer kernels for the device 'meta': move the"):
        case(4, (1, 3, 5)).weight.to("meta")
