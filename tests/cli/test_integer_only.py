"""`run --backend integer_only`: a policy of integers runs, others are refused in one line."""

import json
import shutil

import pytest

SPACE = """
[[rule]]
weight = { bits = 8, granularity = "channel" }
input = { bits = 8, granularity = "tensor" }
"""


@pytest.fixture(scope="module")
def integers(tmp_path_factory, tiny, tool, mine):
    """A user's folder with a policy of 8-bit integers; only ever copied."""
    folder = tmp_path_factory.mktemp("integers")
    shutil.copy(tiny / "mine.py", folder)
    (folder / "w8a8.toml").write_text(SPACE)
    ran = tool("allocate", "--budget", "12bpw", "--space", "w8a8.toml", "--estimator",
               "fisher", "--no-verify", "--json", *mine, cwd=folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def place(integers, tmp_path):
    """A copy of that folder to work in."""
    return shutil.copytree(integers, tmp_path / "place",
                           ignore=shutil.ignore_patterns("__pycache__"))


def run(tool, place, backend):
    return tool("run", "--policy", "policy.json", "--timing", "0", "--backend", backend,
                "--evaluation-samples", "32", "--json", cwd=place)


def test_a_policy_of_integers_runs_with_no_data_but_what_it_is_measured_on(tool, place):
    ran, simulated = (run(tool, place, name) for name in ("integer_only", "simulated"))
    assert ran.data["backend"] == "integer_only"
    assert ran.data["samples"] == 32
    assert 0 < ran.data["kl"] < 3 * simulated.data["kl"] + 1e-4
    assert ran.data["kl"] != simulated.data["kl"]


def test_the_backend_takes_settings(tool, place):
    full, few = (run(tool, place, name) for name in ("integer_only", "integer_only(bits=8)"))
    assert few.data["kl"] > full.data["kl"]


@pytest.mark.parametrize(("backend", "words"), [
    ("integer_only(bits=7)", "8 to 32 bits between layers, not 7"),
    ("integer_only(gelu=erf)", "takes one of tanh, lambda, shift as 'gelu'")])
def test_settings_that_cannot_be(refused, place, backend, words):
    assert words in refused("run", "--policy", "policy.json", "--backend", backend, cwd=place)


def test_a_policy_that_leaves_activations_in_float_is_refused(refused, user):
    line = refused("run", "--policy", "policy.json", "--backend", "integer_only", cwd=user)
    assert line.startswith("layer '0': its input is left in floating point; integer_only needs")


def test_an_operation_without_an_integer_form_is_refused(refused, place):
    source = (place / "mine.py").read_text()
    (place / "mine.py").write_text(source.replace("nn.ReLU(), nn.Linear(16", "nn.Tanh(), "
                                                  "nn.Linear(16"))
    policy = json.loads((place / "policy.json").read_text())
    assert policy["layers"]
    line = refused("run", "--policy", "policy.json", "--backend", "integer_only", cwd=place)
    assert "layer '4': aten.tanh.default has no integer form" in line
