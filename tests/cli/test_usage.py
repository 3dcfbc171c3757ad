"""Help, mistakes on the command line, and what a terminal or a pipe gets."""

import io
import re

import pytest

COMMANDS = ("measure", "allocate", "pareto", "profile", "run", "show", "spaces")


def test_help_names_every_command_with_a_whole_sentence(tool, tmp_path):
    ran = tool("--help", cwd=tmp_path)
    assert ran.code == 0
    for command in COMMANDS:
        line, = (line for line in ran.out.splitlines() if line.strip().startswith(f"{command} "))
        assert line.endswith("."), line
        assert not line.endswith("..."), line


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_speaks_of_its_options(tool, tmp_path, command):
    ran = tool(command, "--help", cwd=tmp_path)
    assert ran.code == 0
    assert "--json" in ran.out
    assert "list[str]" not in ran.out, "a value is called by what it is"
    assert "--workspace TEXT" not in ran.out


@pytest.mark.parametrize(("command", "default"), [
    ("measure", "the embedded digits model"), ("allocate", "the embedded digits model"),
    ("pareto", "the embedded digits model"), ("run", "the policy's own")])
def test_help_tells_each_command_its_own_default_model(tool, tmp_path, command, default):
    told = " ".join(tool(command, "--help", cwd=tmp_path).out.split())
    others = {"the embedded digits model", "the policy's own"} - {default}
    assert f"by default {default}" in told
    assert not any(other in told for other in others)


@pytest.mark.parametrize(("command", "argument"), [("show", "POLICY is "), ("spaces", "NAME is ")])
def test_help_says_what_an_argument_is(tool, tmp_path, command, argument):
    assert argument in tool(command, "--help", cwd=tmp_path).out


@pytest.mark.parametrize("arguments", [
    ("allocte",), ("allocate", "--bugdet", "4bpw"), ("allocate", "4bpw"), ("run",), ("show",),
    ("allocate", "--batch-size", "many"), ("show", "a.json", "b.json")])
def test_a_mistake_ends_with_code_2_and_says_what_it_was(tool, tmp_path, arguments):
    ran = tool(*arguments, cwd=tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    assert "rror" in ran.err
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_version(tool, tmp_path):
    ran = tool("--version", cwd=tmp_path)
    assert ran.code == 0
    assert ran.out.strip().count(".") >= 1


def test_a_pipe_gets_no_colours_and_whole_tables(tool, measured_digits, few):
    for command in (("allocate", "--budget", "4.5bpw", *few), ("show", "policy.json"), ("spaces",),
                    ("show", "policy.json", "--against", "policy.json")):
        out = tool(*command, cwd=measured_digits).out
        assert "\x1b" not in out
        assert "…" not in out
    assert "blocks.5.attn.matmul_1" in tool("show", "policy.json", cwd=measured_digits).out


class Terminal(io.StringIO):
    """Standard output that a person looks at."""

    def isatty(self):
        return True


def test_a_terminal_of_80_columns_gets_every_column(tool, measured_digits, few, monkeypatch):
    """No column, number or letter of a heading goes missing."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(io, "StringIO", Terminal)
    told = tool("allocate", "--budget", "4.5bpw", *few, cwd=measured_digits).out
    out = plain(told)
    assert out != told, "what stands out is bold"
    letters = "".join(out.split())
    for number in ("4.500bits", "2.274", "8.274"):
        assert number in letters, out
    assert "uniformW4" in letters, out
    assert max(len(line) for line in out.splitlines() if " " * 3 in line) <= 80, out
    assert "…" not in out
    assert "blocks.5.attn.qkv" in plain(tool("show", "policy.json", cwd=measured_digits).out)


def plain(text):
    """*text* without the codes of bold letters."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
