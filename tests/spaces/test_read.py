import re
from dataclasses import fields

import pytest

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.spaces import Rule, load_space, shipped
from mpsearch.spaces.read import _READERS

RULE = "[[rule]]\n"
REFUSED = {
    "unknown key, close": (RULE + "wieght = { bits = 4 }",
                           "my.toml: rule 1: unknown key 'wieght': did you mean 'weight'?"),
    "unknown key, far": (RULE + "colour = 1", "my.toml: rule 1: unknown key 'colour': use one of "),
    "the rule is counted": (RULE + "pin = 8\n" + RULE + "pinn = 8",
                            "my.toml: rule 2: unknown key 'pinn': did you mean 'pin'?"),
    "unknown top key": ("[[rules]]\npin = 8", "my.toml: unknown key 'rules': did you mean 'rule'?"),
    "no rules": ('name = "x"', "my.toml: rule: a search space needs at least one [[rule]]"),
    "one table": ("[rule]\npin = 8", "my.toml: rule: a search space needs at least one [[rule]]"),
    "rules that are no tables": ("rule = [3]", "my.toml: rule 1: expected a [[rule]] table, not 3"),
    "name": ("name = 3\n" + RULE + "pin = 8", "my.toml: name: expected a string, not 3"),
    "description": ("description = 3\n" + RULE + "pin = 8",
                    "my.toml: description: expected a string, not 3"),
    "unknown kind": (RULE + 'kind = "linar"\npin = 8',
                     ("my.toml: rule 1: kind: 'linar' is not one of linear, conv, embedding, "
                      "matmul (did you mean 'linear'?)")),
    "kind number": (RULE + "kind = 3\npin = 8", "my.toml: rule 1: kind: expected a string, not 3"),
    "empty kind": (RULE + "kind = []\npin = 8", "my.toml: rule 1: kind: the list is empty"),
    "layer": (RULE + "layer = [1]\npin = 8", "my.toml: rule 1: layer: expected a string, not 1"),
    "position": (RULE + 'position = "1:2:3"\npin = 8',
                 "my.toml: rule 1: position: '1:2:3' is no position"),
    "position true": (RULE + "position = true\npin = 8",
                      "my.toml: rule 1: position: True is no position"),
    "menu": (RULE + "weight = 4", "my.toml: rule 1: weight: expected a table such as"),
    "menu key": (RULE + "weight = { bit = 4 }",
                 "my.toml: rule 1: weight: unknown key 'bit': did you mean 'bits'?"),
    "no bits": (RULE + 'weight = { scale = "absmax" }', "my.toml: rule 1: weight: no bits"),
    "empty bits": (RULE + "weight = { bits = [] }",
                   "my.toml: rule 1: weight.bits: the list is empty"),
    "bits too few": (RULE + "weight = { bits = [4, 1] }",
                     "my.toml: rule 1: weight.bits: the format int has 2 to 16 bits, not 1"),
    "bits too many": (RULE + "weight = { bits = 17 }",
                      "my.toml: rule 1: weight.bits: the format int has 2 to 16 bits, not 17"),
    "bits fraction": (RULE + "weight = { bits = 4.5 }",
                      "my.toml: rule 1: weight.bits: expected a whole number of bits, not 4.5"),
    "bits true": (RULE + "pin = true",
                  "my.toml: rule 1: pin: expected a number of bits, not True"),
    "bits text": (RULE + 'min_bits = "3"',
                  "my.toml: rule 1: min_bits: expected a number of bits, not '3'"),
    "weight granularity": (RULE + 'weight = { bits = 4, granularity = "chanel" }',
                           "my.toml: rule 1: weight.granularity: 'chanel' is no granularity"),
    "weight a token": (RULE + 'weight = { bits = 4, granularity = "token" }',
                       "my.toml: rule 1: weight.granularity: 'token' is no granularity"),
    "empty groups": (RULE + 'weight = { bits = 4, granularity = "group:0" }',
                     "my.toml: rule 1: weight.granularity: 'group:0' is no granularity"),
    "input granularity": (RULE + 'input = { bits = 4, granularity = "channel" }',
                          "my.toml: rule 1: input.granularity: 'channel' is not one of tensor"),
    "other granularity": (RULE + 'other = [{ bits = 4, granularity = "tokens" }]',
                          ("my.toml: rule 1: other.granularity: 'tokens' is not one of tensor, "
                           "token (did you mean 'token'?)")),
    "a kind for another operand": (RULE + 'weight = { kind = "log2", bits = 4 }',
                                   "my.toml: rule 1: weight.kind: 'log2' is for input or other"),
    "an unknown kind of format": (RULE + 'weight = { kind = "trelis", bits = 4 }',
                                  "my.toml: rule 1: weight.kind: 'trelis' is not one of int, "),
    "two kinds": (RULE + 'weight = { kind = ["int", "lloyd"], bits = 4 }',
                  "my.toml: rule 1: weight.kind: expected a string, not ['int', 'lloyd']"),
    "a setting out of range": (RULE + 'weight = { kind = "trellis", bits = 2, states = 99 }',
                               "my.toml: rule 1: weight.states: a trellis of 2 bits has 8 to 16"),
    "a share": (RULE + 'weight = { kind = "outlier_split", bits = 3, share = 2 }',
                "my.toml: rule 1: weight.share: the share of outlier columns is above 0"),
    "a width between": (RULE + 'weight = { kind = "trellis", bits = 2.3 }',
                        "my.toml: rule 1: weight.bits: the format trellis has 1.5 to 5 in steps"),
    "settings of another kind": (RULE + "weight = { bits = 4, states = 12 }",
                                 "my.toml: rule 1: weight: unknown key 'states': "),
    "symmetric": (RULE + "weight = { bits = 4, symmetric = 1 }",
                  "my.toml: rule 1: weight.symmetric: expected true or false, not 1"),
    "scale": (RULE + 'weight = { bits = 4, scale = "abs_max" }',
              ("my.toml: rule 1: weight.scale: 'abs_max' is not one of absmax, percentile, "
               "least_squares (did you mean 'absmax'?)")),
    "float": (RULE + 'float = "yes"', "my.toml: rule 1: float: expected true or false, not 'yes'"),
    "tie": (RULE + 'tie = "parents"', "my.toml: rule 1: tie: expected true, false or"),
    "tie number": (RULE + "tie = 1", "my.toml: rule 1: tie: expected true, false or"),
    "nothing set": (RULE + 'layer = "head"', "my.toml: rule 1: sets nothing"),
    "float and a menu": (RULE + "float = true\nweight = { bits = 4 }",
                         "my.toml: rule 1: weight: has no meaning beside float = true"),
    "float and a pin": (RULE + "float = true\npin = 8",
                        "my.toml: rule 1: pin: has no meaning beside float = true"),
    "pin and a menu": (RULE + "pin = 8\nweight = { bits = 4 }",
                       "my.toml: rule 1: pin: stands beside weight"),
    "limits crossed": (RULE + "min_bits = 5\nmax_bits = 4",
                       "my.toml: rule 1: min_bits: 5 is above max_bits = 4"),
    "no such operand": (RULE + 'kind = ["embedding", "matmul"]\nweight = { bits = 4 }\n'
                        + RULE + 'kind = "embedding"\ninput = { bits = 4 }',
                        "my.toml: rule 2: input: a layer of kind embedding has no input"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_mistake_is_named_with_file_rule_and_key(parse, text, message):
    with pytest.raises(BadInput, match="^" + re.escape(message)) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_the_grammar_is_the_fields_of_a_rule():
    assert list(_READERS) == [field.name for field in fields(Rule) if field.name != "number"]


def test_a_file_is_read_by_path_and_named_after_itself(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(RULE + 'layer = "é"\npin = 8', encoding="utf-8")
    space = load_space(str(path))
    assert (space.name, space.description, space.source) == ("mine", "", str(path))
    assert space.rules == (Rule(number=1, layer=("é",), pin=8),)


def test_a_shipped_space_is_read_by_name_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "weights_only").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_space("weights_only").source == str(shipped()["weights_only"])


def test_a_file_without_suffix_is_found(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text(RULE + "pin = 8")
    monkeypatch.chdir(tmp_path)
    assert load_space("mine").name == "mine"


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(UnknownName, match="unknown search space 'weights': choose one of "
                                          "palette, weights_and_activations, weights_grouped, "
                                          "weights_only"):
        load_space("weights")


@pytest.mark.parametrize("name", ["missing.toml", "missing/space"])
def test_a_missing_file_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=f"cannot read the search space {re.escape(name)}: No such"):
        load_space(name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read the search space .*: Is a directory"):
        load_space(str(tmp_path))


def test_invalid_toml_names_the_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\n[[rule]]\npin 8\n')
    with pytest.raises(BadInput, match=r"bad\.toml is not TOML: .*line 3"):
        load_space(str(path))


def test_a_binary_file_is_not_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"bad\.toml is not TOML"):
        load_space(str(path))


def test_the_digest_sees_the_rules_and_not_how_they_are_written(parse):
    plain = parse('name = "x"\n[[rule]]\nkind = "linear"\nweight = { bits = 8 }')
    same = parse('description = "text"  # comment\nname = "x"\n[[rule]]\n'
                 'weight = [{ granularity = "channel", bits = [8] }]\nkind = ["linear"]')
    wider = parse('name = "x"\n[[rule]]\nkind = "linear"\nweight = { bits = 7 }')
    renamed = parse('name = "y"\n[[rule]]\nkind = "linear"\nweight = { bits = 8 }')
    assert plain.digest == same.digest
    assert len({plain.digest, wider.digest, renamed.digest}) == 3
    assert re.fullmatch("[0-9a-f]{64}", plain.digest)


def test_the_digest_sees_the_order_of_rules(parse):
    one, two = "[[rule]]\npin = 8\n", "[[rule]]\npin = 4\n"
    assert parse(one + two).digest != parse(two + one).digest


def test_lists_that_do_not_go_together_are_said_to_be_combined(parse):
    with pytest.raises(BadInput, match=r"weight\.dims: 8 numbers of 3 bits .*tables of its own"):
        parse(RULE + 'weight = { kind = "vector", bits = [2, 3], dims = [4, 8] }')


def test_what_depends_on_other_settings_is_filled_in(parse):
    rule = parse(RULE + """
weight = { kind = "float", bits = 4, blocks = "mx" }
input = [{ kind = "float", bits = 8, blocks = "mx" }, { kind = "float", bits = 8 }]
""").rules[0]
    assert [str(fmt) for fmt in (*rule.weight, *rule.input)] == [
        "4mx-e2m1/group:32", "8mx-e4m3/group:32", "8float/tensor"]
