"""The data of a picture: what it keeps, and which bits it finds worth showing."""

from dataclasses import replace

import pytest

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.report.front import BitsRow, Front, LayerBits, load_front, save_front


def scheme(weight=None, enters=None, other=None):
    formats = [None if bits is None else IntFormat(bits=bits) for bits in (weight, enters, other)]
    return Scheme(weight=formats[0], input=formats[1], other=formats[2])


def row(label, operand, *bits):
    return BitsRow(label=label, operand=operand, bits=bits)


def test_a_saved_front_comes_back(front, tmp_path):
    save_front(front, tmp_path / "front.json")
    assert load_front(tmp_path / "front.json") == front


def test_an_empty_front_comes_back(tmp_path):
    empty = Front(model="m", estimator="e", space="s", unit="nats")
    save_front(empty, tmp_path / "front.json")
    assert load_front(tmp_path / "front.json") == empty


def test_a_front_with_a_wrong_field_is_refused(front, tmp_path):
    path = tmp_path / "front.json"
    save_front(front, path)
    path.write_text(path.read_text().replace('"estimator"', '"estimater"'))
    with pytest.raises(BadInput, match=r"front\.json is not a valid Front"):
        load_front(path)


def test_weights_that_vary_hide_inputs_that_do_not():
    bits = LayerBits.of({"p": {"a": scheme(2, 8), "b": scheme(4, 8)}}, ["a", "b"])
    assert bits == LayerBits(names=("a", "b"), rows=(row("p", "weight", 2, 4),))


def test_all_operands_that_vary_are_shown():
    schemes = {"a": scheme(2, 8), "qk": scheme(None, 4, 8), "b": scheme(4, 8)}
    bits = LayerBits.of({"p": schemes}, ["a", "qk", "b"])
    assert bits.names == ("a", "qk", "b")
    assert bits.rows == (row("p", "weight", 2, None, 4), row("p", "input", 8, 4, 8))


def test_a_uniform_policy_has_a_row_beside_a_mixed_one():
    bits = LayerBits.of({"mixed": {"a": scheme(2), "b": scheme(4)},
                         "uniform": {"a": scheme(4), "b": scheme(4)}}, ["a", "b"])
    assert bits.rows == (row("mixed", "weight", 2, 4), row("uniform", "weight", 4, 4))


def test_a_policy_of_activations_only_shows_them():
    bits = LayerBits.of({"p": {"a": scheme(None, 8), "b": scheme(None, 8)}}, ["a", "b"])
    assert bits.rows == (row("p", "input", 8, 8),)


def test_layers_that_no_row_quantizes_are_left_out():
    schemes = {"a": scheme(2, 8), "qk": scheme(None, 8, 8), "b": scheme(4, 8), "c": scheme()}
    assert LayerBits.of({"p": schemes}, ["a", "qk", "b", "c", "d"]).names == ("a", "b")


def test_a_policy_left_in_floating_point_shows_nothing():
    assert LayerBits.of({"p": {"a": scheme()}}, ["a"]) == LayerBits()
    assert LayerBits.of({}, ["a"]) == LayerBits()


def test_a_row_has_one_number_a_layer(front):
    with pytest.raises(BadInput, match=r"row '4\.5bpw' has 6 bits for 5 layers"):
        replace(front.layers, names=front.layers.names[1:])
