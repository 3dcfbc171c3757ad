from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.spaces.menus import read_menu
from mpsearch.spaces.values import Place

HERE = Place(source="my.toml", rule=1, key="menu")


def test_a_weight_defaults_to_symmetric_channels_by_least_squares():
    assert read_menu({"bits": 4}, HERE, operand="weight") == (
        IntFormat(bits=4, granularity="channel", symmetric=True, scale="least_squares"),)


@pytest.mark.parametrize("operand", ["input", "other"])
def test_an_activation_defaults_to_one_calibrated_asymmetric_scale(operand):
    assert read_menu({"bits": 4}, HERE, operand=operand) == (
        IntFormat(bits=4, granularity="tensor", symmetric=False, scale="least_squares"),)


def test_a_token_defaults_to_symmetric_absmax_even_in_a_list():
    assert read_menu({"bits": 4, "granularity": ["token", "tensor"]}, HERE, operand="input") == (
        IntFormat(bits=4, granularity="token", symmetric=True, scale="absmax"),
        IntFormat(bits=4, granularity="tensor", symmetric=False, scale="least_squares"))


def test_what_is_written_beats_every_default():
    entry = {"bits": 5, "granularity": "group:32", "symmetric": False, "scale": "percentile"}
    assert read_menu(entry, HERE, operand="weight") == (
        IntFormat(bits=5, granularity="group:32", symmetric=False, scale="percentile"),)


def test_an_empty_list_is_an_empty_menu():
    assert read_menu([], HERE, operand="input") == ()


def test_tables_are_joined_and_repeats_dropped():
    menu = read_menu([{"bits": [4, 8]}, {"bits": [8, 6]}], HERE, operand="weight")
    assert [fmt.bits for fmt in menu] == [4, 8, 6]


@given(bits=st.lists(st.integers(2, 16), min_size=1, unique=True),
       granularity=st.lists(st.sampled_from(["tensor", "channel", "group:32", "group:7"]),
                            min_size=1, unique=True))
def test_a_table_is_all_widths_times_all_granularities(bits, granularity):
    menu = read_menu({"bits": bits, "granularity": granularity}, HERE, operand="weight")
    assert [(fmt.bits, fmt.granularity) for fmt in menu] == list(product(bits, granularity))
