"""Standard output holds the answer and nothing else."""

import pytest

from mpsearch.plugins import BUILTIN
from mpsearch.report import kinds
from mpsearch.spaces import shipped

NOISY = """
import sys
print("importing")
from mine import data as quiet_data, model as quiet_model

def model():
    print("building")
    return quiet_model()

def data(split):
    print("reading")
    print("something is odd", file=sys.stderr)
    yield from quiet_data(split)
"""


@pytest.mark.parametrize("command", [
    ("measure", "--estimator", "fisher", "--estimator", "weight_error"),
    ("allocate", "--budget", "5bpw"), ("pareto",),
    ("run", "--policy", "policy.json"), ("show", "policy.json"),
    ("show", "policy.json", "--against", "policy.json"), ("spaces",), ("spaces", "weights_only")])
def test_one_json_object_and_nothing_else(tool, user, mine, command):
    options = {"show": (), "spaces": (), "run": (*mine[4:6], "--timing", "0"),
               "measure": (*mine[:4], *mine[6:])}
    ran = tool(*command, "--json", *options.get(command[0], mine), cwd=user)
    assert isinstance(ran.data, dict)


def test_what_the_users_own_code_prints_goes_to_standard_error(tool, user, mine):
    (user / "noisy.py").write_text(NOISY)
    ran = tool("allocate", "--budget", "5bpw", "--json", "--model", "noisy.py:model", "--data",
               "noisy.py:data", *mine[4:], cwd=user)
    assert ran.data["measured_units"] == 3
    for word in ("importing", "building", "reading", "something is odd"):
        assert word in ran.err


def test_what_measure_says(tool, user, mine):
    data = tool("measure", "--json", "--estimator", "fisher", "--estimator", "weight_error",
                *mine[:4], *mine[6:], cwd=user).data
    assert data["layers"] == data["groups"] == 3
    assert data["weights"] == 8 * 27 + 16 * 72 + 4 * 16
    assert data["measured_units"] == 3 + 3, "a batch of 16, three groups; and three weights"
    assert data["resumed_units"] == 0
    assert data["model"]["source"] == "mine.py:model"
    for name in ("fisher", "weight_error"):
        table = data["tables"][name]
        assert [len(row) for row in table["values"]] == [6, 6, 6]
        for row in table["values"]:
            assert row == sorted(row, reverse=True), "more bits, less loss"


def test_the_spaces_that_ship(tool, tmp_path):
    data = tool("spaces", "--json", cwd=tmp_path).data
    assert sorted(data) == ["palette", "weights_and_activations", "weights_grouped", "weights_only"]
    assert all(data.values())
    told = tool("spaces", cwd=tmp_path)
    assert all(name in told.out for name in data)


def test_one_space_is_printed_as_it_is_written(tool, tmp_path):
    text = shipped()["weights_grouped"].read_text()
    assert tool("spaces", "weights_grouped", "--json", cwd=tmp_path).data["toml"] == text
    assert tool("spaces", "weights_grouped", cwd=tmp_path).out.strip() == text.strip()


def test_the_kinds_of_formats(tool, tmp_path):
    data = tool("spaces", "--quantizers", "--json", cwd=tmp_path).data
    assert set(BUILTIN["quantizer"]) <= set(data)
    assert all(own["summary"] and own["source"] and own["bits"] for own in data.values())
    assert all(own["weights"] or own["activations"] for own in data.values())
    assert data["int"]["weights"] == ["tensor", "channel", "group:N"]
    assert data["int"]["activations"] == ["tensor", "token"]
    assert data["int"]["settings"]["symmetric"] == {"default": True}
    assert data["int"]["settings"]["scale"]["values"] == ["absmax", "percentile", "least_squares"]
    assert data["outlier_inputs"]["weights"] == []
    assert data["sparse24"]["activations"] == []
    told = tool("spaces", "--quantizers", cwd=tmp_path).out
    assert all(word in told for word in ("group:N", "symmetric = true", "threshold = 6.0", *data))
    assert max(map(len, told.splitlines())) <= 80, "a terminal shows it as it is"
    letters = "".join(told.split())
    for own in data.values():
        assert "".join((own["summary"] + "bits:" + kinds.widths_text(tuple(own["bits"]))).split()
                       ) in letters
        assert "".join(f"source: {own['source']}".split()) in letters


def test_the_kinds_of_formats_are_not_those_of_one_space(refused, tmp_path):
    assert "leave out 'weights_only'" in refused(
        "spaces", "weights_only", "--quantizers", cwd=tmp_path)
