"""Names of plug-ins and search spaces that nothing answers to, and spaces with mistakes."""

import pytest

from mpsearch import plugins
from mpsearch.spaces import shipped


@pytest.mark.parametrize(("option", "known"), [
    ("--estimator", plugins.names("estimator")), ("--allocator", plugins.names("allocator")),
    ("--space", list(shipped()))])
def test_an_unknown_name_lists_the_known_ones_before_any_work(refused, tmp_path, option, known):
    line = refused("allocate", "--budget", "5bpw", option, "nonesuch", cwd=tmp_path)
    assert "'nonesuch'" in line
    assert all(name in line for name in known)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_backend_lists_the_known_ones(refused, user):
    line = refused("run", "--policy", "policy.json", "--backend", "nonesuch", cwd=user)
    assert "'nonesuch'" in line
    assert "simulated" in line


def test_an_unknown_space_cannot_be_printed(refused, tmp_path):
    assert "weights_only" in refused("spaces", "nonesuch", cwd=tmp_path)


def test_a_space_with_an_unknown_key_names_file_rule_and_key(refused, user, mine):
    (user / "odd.toml").write_text('[[rule]]\nkind = "linear"\nwieght = { bits = 4 }\n')
    line = refused("allocate", "--budget", "5bpw", "--space", "odd.toml", *mine, cwd=user)
    assert all(word in line for word in ("odd.toml", "rule 1", "wieght", "weight"))


def test_a_space_that_is_no_toml(refused, user, mine):
    (user / "odd.toml").write_text("[[rule\n")
    assert "odd.toml is not TOML" in refused("measure", "--space", "odd.toml", *mine[:4], cwd=user)


def test_a_rule_that_matched_nothing_is_a_note_each_time(tool, user, mine):
    """Not an error; said as well when everything comes from the workspace."""
    (user / "odd.toml").write_text('[[rule]]\nweight = { bits = [4, 8] }\n'
                                   '[[rule]]\nlayer = "heads"\npin = 8\n')
    for _ in range(2):
        ran = tool("allocate", "--budget", "5bpw", "--no-verify", "--json", "--space", "odd.toml",
                   "--estimator", "weight_error", *mine, cwd=user)
        note, = ran.data["notes"]
        assert "odd.toml" in note
        assert '"heads"' in note
        assert ran.err.splitlines()[-1] == f"note: {note}"
    swept = tool("pareto", "--no-measure", "--json", "--space", "odd.toml", "--estimator",
                 "weight_error", *mine, cwd=user)
    assert swept.code == 0
    assert swept.err.splitlines() == [f"note: {note}"]


@pytest.mark.parametrize("empty", ["", " , "])
def test_a_measurement_of_nothing_is_refused(refused, tmp_path, empty):
    assert "at least one estimator" in refused("measure", "--estimator", empty, cwd=tmp_path)
