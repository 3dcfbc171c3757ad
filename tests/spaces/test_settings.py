from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput

WEIGHTS = "[[rule]]\nweight = { bits = [2, 4, 8] }\n"
PRODUCTS = '[[rule]]\nkind = "matmul"\ninput = { bits = [4, 8] }\n'


def test_a_layer_without_a_menu_stays_in_float(menu, layer):
    assert menu('[[rule]]\nkind = "conv"\nweight = { bits = 4 }', layer("fc")) == ["float"]
    assert menu(WEIGHTS, layer("qk", "matmul")) == ["float"]


def test_candidates_are_weight_times_input(menu, layer):
    rules = WEIGHTS + '[[rule]]\ninput = { bits = [4, 8], granularity = "token" }'
    assert menu(rules, layer("fc")) == [
        f"W{w}s/channel A{a}s/token" for w, a in product([2, 4, 8], [4, 8])]
    assert menu(rules, layer("embed", "embedding")) == ["W2s/channel", "W4s/channel", "W8s/channel"]


def test_cheapest_first_then_as_written(menu, layer):
    rules = """[[rule]]
weight = [{ bits = 8 }, { bits = [4, 2], granularity = ["group:32", "channel"] }]
input = [{ bits = 8 }, { bits = [8, 4], granularity = "token" }]"""
    weights = ["W2s/group:32", "W2s/channel", "W4s/group:32", "W4s/channel", "W8s/channel"]
    schemes = menu(rules, layer("fc"))
    at_four = [scheme for scheme in schemes if scheme.startswith("W4")]
    assert [scheme for scheme in schemes if "A4" in scheme] == [f"{w} A4s/token" for w in weights]
    assert at_four == ["W4s/group:32 A4s/token", "W4s/channel A4s/token",
                       "W4s/group:32 A8u/tensor", "W4s/group:32 A8s/token",
                       "W4s/channel A8u/tensor", "W4s/channel A8s/token"]


@given(st.permutations([2, 3, 4, 6, 8]), st.permutations([4, 6, 8]))
def test_the_order_of_widths_in_the_file_does_not_matter(menu, layer, weight, taken):
    rules = f"[[rule]]\nweight = {{ bits = {weight} }}\ninput = {{ bits = {taken} }}"
    assert menu(rules, layer("fc")) == [
        f"W{w}s/channel A{a}u/tensor" for w, a in product([2, 3, 4, 6, 8], [4, 6, 8])]


def test_a_later_rule_overrides_its_keys_and_no_other(menu, layer):
    rules = WEIGHTS + "[[rule]]\ninput = { bits = 8 }\n[[rule]]\nweight = { bits = 3 }"
    assert menu(rules, layer("fc")) == ["W3s/channel A8u/tensor"]
    assert menu(rules + "\n[[rule]]\ninput = []", layer("fc")) == ["W3s/channel"]


def test_both_operands_of_a_matmul_share_a_format_unless_other_is_given(menu, layer):
    qk = layer("qk", "matmul")
    assert menu(PRODUCTS, qk) == ["A4u/tensor B4u/tensor", "A8u/tensor B8u/tensor"]
    assert menu(PRODUCTS + 'other = { bits = 6, granularity = "token" }', qk) == [
        "A4u/tensor B6s/token", "A8u/tensor B6s/token"]
    assert menu(PRODUCTS + "other = { bits = [8, 4] }", qk) == [
        f"A{a}u/tensor B{b}u/tensor" for a, b in product([4, 8], [4, 8])]
    assert menu(PRODUCTS + "other = []", qk) == ["A4u/tensor", "A8u/tensor"]
    assert menu("[[rule]]\nother = { bits = 8 }", qk) == ["B8u/tensor"]


@pytest.mark.parametrize(("limits", "widths"), [
    ("min_bits = 4", [4, 8]), ("max_bits = 4", [2, 4]), ("min_bits = 3\nmax_bits = 5", [4]),
])
def test_limits_keep_the_widths_between_them(menu, layer, limits, widths):
    rules = f"[[rule]]\n{limits}\n" + WEIGHTS + "[[rule]]\ninput = { bits = 2 }"
    assert menu(rules, layer("fc")) == [f"W{w}s/channel A2u/tensor" for w in widths]


def test_limits_of_a_matmul_hold_for_both_operands(menu, layer):
    rules = PRODUCTS + "other = { bits = [4, 8] }\n[[rule]]\nmin_bits = 6"
    assert menu(rules, layer("qk", "matmul")) == ["A8u/tensor B8u/tensor"]


def test_limits_say_nothing_about_a_layer_in_float(menu, layer):
    assert menu("[[rule]]\nmin_bits = 16", layer("fc")) == ["float"]
    assert menu(WEIGHTS + "[[rule]]\nfloat = true\n[[rule]]\nmin_bits = 16", layer("fc")) == [
        "float"]


@pytest.mark.parametrize(("limit", "message"), [
    ("min_bits = 9", ("my.toml: rule 2: min_bits: min_bits = 9 leaves layer 'fc' no weight format: "
                      "its menu has 2, 4, 8 bits")),
    ("min_bits = 5\nmax_bits = 7", ("my.toml: rule 2: max_bits: min_bits = 5 and max_bits = 7 "
                                    "leaves layer 'fc' no weight format")),
])
def test_a_limit_that_empties_a_menu_names_the_layer(menu, layer, limit, message):
    with pytest.raises(BadInput, match=message):
        menu(f"{WEIGHTS}[[rule]]\n{limit}", layer("fc"))


def test_a_limit_of_a_matmul_names_the_operand(menu, layer):
    with pytest.raises(BadInput, match="leaves layer 'qk' no input format: its menu has 4, 8 bits"):
        menu(PRODUCTS + "[[rule]]\nmin_bits = 9", layer("qk", "matmul"))


def test_a_pin_keeps_the_formats_of_its_width(menu, layer):
    rules = '[[rule]]\nweight = { bits = [4, 8], granularity = ["channel", "group:4"] }\n'
    assert menu(rules + "[[rule]]\npin = 8", layer("fc")) == ["W8s/channel", "W8s/group:4"]


def test_a_pin_takes_the_first_format_where_its_width_is_missing(menu, layer):
    rules = '[[rule]]\nweight = { bits = [4, 8], granularity = ["group:4", "channel"] }\n'
    assert menu(rules + "[[rule]]\npin = 6", layer("fc")) == ["W6s/group:4"]


def test_a_pin_without_a_menu_has_the_default_format(menu, layer):
    assert menu("[[rule]]\npin = 8", layer("fc")) == ["W8s/channel"]
    assert menu("[[rule]]\npin = 8", layer("qk", "matmul")) == ["float"]


@pytest.mark.parametrize(("formats", "pinned"), [
    ('[{ kind = "float", bits = 4, blocks = "mx" }]', "W8mx/group:32"),
    ('[{ kind = "trellis", bits = [2, 3] }, { kind = "lloyd", bits = 3 }]', "W8lloyd/channel"),
    ('[{ kind = "trellis", bits = [2, 3] }]', "W8s/channel"),
    ('[{ kind = "twin_log", bits = 3 }]', "W8twin_log/channel"),
])
def test_a_pin_takes_the_first_kind_that_can_have_its_width(menu, layer, formats, pinned):
    rules = f"[[rule]]\nweight = {formats}\n[[rule]]\npin = 8"
    assert menu(rules, layer("fc")) == [pinned]


def test_a_width_that_nothing_has_names_rule_and_layer(menu, layer):
    with pytest.raises(BadInput, match=r"rule 2: pin: layer 'fc': the format int has 2 to 16 bits"):
        menu(WEIGHTS + "[[rule]]\npin = 2.3", layer("fc"))


def test_a_pin_leaves_the_input_its_menu_and_pins_both_operands_of_a_matmul(menu, layer):
    rules = "[[rule]]\nweight = { bits = [2, 4] }\ninput = { bits = [4, 8] }\n[[rule]]\npin = 8"
    assert menu(rules, layer("fc")) == ["W8s/channel A4u/tensor", "W8s/channel A8u/tensor"]
    assert menu(rules, layer("qk", "matmul")) == ["A8u/tensor B8u/tensor"]


def test_a_pin_and_an_input_menu_in_one_rule(menu, layer):
    rules = "[[rule]]\npin = 8\ninput = { bits = [4, 6] }"
    assert menu(rules, layer("fc")) == ["W8s/channel A4u/tensor", "W8s/channel A6u/tensor"]
    assert menu(rules, layer("qk", "matmul")) == ["A8u/tensor B8u/tensor"]


def test_a_menu_of_one_width_is_a_pin_too(menu, layer):
    assert menu(WEIGHTS + '[[rule]]\nlayer = "fc"\nweight = { bits = 8 }', layer("fc")) == [
        "W8s/channel"]


@pytest.mark.parametrize(("later", "expected"), [
    ("", ["float"]),
    ("[[rule]]\ninput = { bits = 8 }", ["float"]),
    ("[[rule]]\ntie = true", ["float"]),
    ("[[rule]]\npin = 8", ["W8s/channel"]),
    ("[[rule]]\nweight = { bits = 3 }", ["W3s/channel"]),
    ("[[rule]]\nfloat = false", ["W2s/channel", "W4s/channel", "W8s/channel"]),
])
def test_float_holds_until_a_later_width(menu, layer, later, expected):
    assert menu(WEIGHTS + "[[rule]]\nfloat = true\n" + later, layer("fc")) == expected


def test_float_of_a_matmul_holds_until_its_operands_are_set(menu, layer):
    rules = PRODUCTS + "[[rule]]\nfloat = true\n"
    assert menu(rules, layer("qk", "matmul")) == ["float"]
    assert menu(rules + "[[rule]]\ninput = { bits = 6 }", layer("qk", "matmul")) == [
        "A6u/tensor B6u/tensor"]


def test_float_as_a_candidate_is_the_last_one(menu, layer):
    rules = WEIGHTS + "[[rule]]\ninclude_float = true"
    assert menu(rules, layer("fc")) == ["W2s/channel", "W4s/channel", "W8s/channel", "float"]
    assert menu(rules + "\n[[rule]]\ninclude_float = false", layer("fc"))[-1] == "W8s/channel"
    assert menu("[[rule]]\ninclude_float = true", layer("fc")) == ["float"]
