"""[[subnet]] tables: what they offer, to which branches, and what they refuse."""

import pytest

from mpsearch.core.errors import BadInput
from mpsearch.spaces.resolve import resolve
from mpsearch.spaces.subnets import ranked, with_subnets

RULES = "[[rule]]\nweight = { bits = [2, 4] }\n"


@pytest.fixture(scope="module")
def layers(layer):
    """A stem, an attention with 4 heads, an MLP with 6 units, and a branch that only skips."""
    mlp = {"branch": "mlp", "units": 6}
    heads = {"branch": "attn", "units": 4}
    return (layer("stem"), layer("qkv", **heads, narrows="rows"),
            layer("product", "matmul", **heads, narrows="heads"),
            layer("proj", **heads, narrows="columns"), layer("fc1", **mlp, narrows="rows"),
            layer("fc2", **mlp, narrows="columns"), layer("conv", "conv", branch="conv"))


@pytest.fixture(scope="module")
def offered(parse, layers):
    """The candidates of each group under RULES and more text; units are ranked backwards."""
    def make(text, rules=RULES):
        space = parse(rules + text)
        found, notes = resolve(space, layers)
        ranking = {"attn": (3, 2, 1, 0), "mlp": (5, 4, 3, 2, 1, 0)}
        whole = with_subnets(space, found, {name: ranking[name] for name in ranked(space, found)})
        return {group.name: list(map(str, group.schemes)) for group in whole.groups}, whole, notes

    return make


def test_without_subnets_nothing_changes(offered):
    found, _, notes = offered("")
    assert len(found) == 7
    assert {each for schemes in found.values() for each in schemes} == {
        "W2s/channel", "W4s/channel", "float"}
    assert notes == ()


def test_without_rules_only_parts_are_left_out(offered):
    found, _, _ = offered("[[subnet]]\nskip = true\nmlp = 0.5\n", "")
    assert found == {"stem": ["float"], "qkv": ["skip", "float"], "conv": ["skip", "float"],
                     "fc1": ["skip", "float keep 3/6", "float"]}


def test_a_branch_is_one_group_with_every_width_at_every_size(offered):
    found, space, _ = offered("[[subnet]]\nskip = true\nheads = [0.5, 1.0]\nmlp = [0.2, 0.5]\n")
    assert list(found) == ["stem", "qkv", "fc1", "conv"]
    assert found["stem"] == ["W2s/channel", "W4s/channel"]
    assert found["qkv"] == ["skip", "W2s/channel keep 2/4", "W2s/channel",
                            "W4s/channel keep 2/4", "W4s/channel"]
    assert [each.partition("keep ")[2] for each in found["fc1"]] == [
        "", "1/6", "3/6", "", "1/6", "3/6", ""]
    assert found["conv"] == ["skip", "W2s/channel", "W4s/channel"]
    assert space.groups[1].schemes[1].keep.kept == (2, 3), "those ranked first"


def test_the_last_table_that_speaks_of_a_branch_holds(offered):
    found, _, _ = offered("[[subnet]]\nskip = true\n[[subnet]]\nbranch = 'm*'\nmlp = 0.5\n")
    assert found["fc1"] == ["W2s/channel keep 3/6", "W2s/channel",
                            "W4s/channel keep 3/6", "W4s/channel"]
    assert found["qkv"][0] == "skip"


def test_a_share_never_takes_the_last_unit_and_all_units_are_no_share(offered):
    found, _, _ = offered("[[subnet]]\nheads = [0.01, 0.99]\n")
    assert found["qkv"][0] == "W2s/channel keep 1/4"
    assert len(found["qkv"]) == 4
    assert "fc1" in found
    assert "fc2" in found, "a branch that is offered nothing is not one group"


def test_a_branch_that_shares_a_scheme_with_others_stays_whole(offered):
    tied = RULES + '[[rule]]\nlayer = ["stem", "fc1"]\ntie = true\n'
    found, _, notes = offered("[[subnet]]\nskip = true\n", tied)
    assert "skip" not in found["stem"]
    assert found["qkv"][0] == "skip"
    assert list(notes) == [
        "my.toml: subnet: branch 'mlp' stays whole: its layers share a scheme with others"]


def test_attention_in_float_beside_quantized_inputs_is_refused_with_the_way_out(offered):
    linear = '[[rule]]\nkind = "linear"\nweight = { bits = [4] }\ninput = { bits = [8] }\n'
    with pytest.raises(BadInput, match="granularity; attention's products too, where it is a "
                                       "subnet branch"):
        offered("[[subnet]]\nskip = true\n", linear)


def test_a_pattern_that_finds_no_branch_is_reported(offered):
    _, _, notes = offered("[[subnet]]\nbranch = ['mpl', 'attn']\nskip = true\n")
    assert notes == ('my.toml: subnet 1: no residual branch matches "mpl" (closest: mlp)',)


@pytest.mark.parametrize(("text", "message"), [
    ("[[subnet]]\n", "subnet 1: offers nothing"),
    ("[[subnet]]\nskip = 1\n", "subnet 1.skip: expected true or false"),
    ("[[subnet]]\nmlp = [0.5, 0]\n", "subnet 1.mlp: a share that stays is above 0 and at most 1"),
    ("[[subnet]]\nheads = 1.5\n", "subnet 1.heads: a share"),
    ("[[subnet]]\nheads = []\n", "subnet 1.heads: the list is empty"),
    ("[[subnet]]\nhead = 0.5\n", "unknown key 'head': did you mean 'heads'"),
    ("[[subnet]]\nmlp = 0.5\nimportance = 'tailor'\n", "did you mean 'taylor'"),
    ("[subnet]\nskip = true\n", r"expected \[\[subnet\]\] tables"),
])
def test_bad_tables_are_refused_with_their_place(offered, text, message):
    with pytest.raises(BadInput, match=message):
        offered(text)


def test_the_digest_of_a_file_without_subnets_is_as_before(parse):
    plain, more = parse(RULES), parse(RULES + "[[subnet]]\nskip = true\n")
    assert plain.digest != more.digest
    assert more.digest != parse(RULES + "[[subnet]]\nmlp = 0.5\n").digest
