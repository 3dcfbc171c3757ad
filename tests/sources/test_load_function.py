import sys

import pytest

from mpsearch.sources.load_function import load_function


def run(spec, **arguments):
    return load_function(spec).call(lambda result: result, **arguments)


def test_package_function(package):
    assert run(f"{package.name}.inner.nets:make").in_features == 2


def test_file_function_and_its_neighbours(user_file, tmp_path):
    (tmp_path / "neighbour_a.py").write_text("value = 5\n")
    (tmp_path / "neighbour_b.py").write_text("value = 7\n")
    spec = user_file("import neighbour_a\n"
                     "def make():\n    import neighbour_b\n"
                     "    return neighbour_a.value + neighbour_b.value\n")
    before = list(sys.path)
    assert run(spec) == 12
    assert sys.path == before
    assert "user_code" not in sys.modules
    for name in ("neighbour_a", "neighbour_b"):
        del sys.modules[name]


def test_a_changed_file_is_read_again(user_file):
    assert run(user_file("def make():\n    return 1\n")) == 1
    assert run(user_file("def make():\n    return 2\n")) == 2


def test_one_module_for_two_functions(user_file):
    text = "state = []\ndef make():\n    state.append(1)\n    return len(state)\n"
    assert run(user_file(text)) == 1
    assert run(user_file(text)) == 2


def test_modules_in_the_working_folder_are_found(tmp_path, monkeypatch):
    (tmp_path / "only_here_once.py").write_text("def make():\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert run("only_here_once:make") == 3
    del sys.modules["only_here_once"]


def test_parameters(user_file):
    function = load_function(user_file("def make(split, *, seed=0, **rest):\n    return split\n"))
    assert function.accepts("split")
    assert function.accepts("seed")
    assert not function.accepts("rest")
    assert function.call(str.upper, split="evaluation") == "EVALUATION"


def test_prints_do_not_reach_stdout(user_file, capsys):
    run(user_file("print('on import')\ndef make():\n    print('in call')\n"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "on import\nin call\n"


@pytest.mark.parametrize(("text", "said"), [
    ("import no_such_thing_at_all\n", "no_such_thing_at_all"),
    ("def make(:\n", "SyntaxError"),
    ("raise RuntimeError('two\\nlines')\n", "RuntimeError: two lines (user_code.py:3)"),
    ("raise SystemExit(3)\n", "SystemExit"),
    ("make = 5\n", "no function 'make'"),
    ("def other(): ...\n", "no function 'make'"),
])
def test_files_that_cannot_be_used(user_file, refusal, text, said):
    message = refusal(load_function, user_file(text))
    assert said in message
    assert "user_code.py" in message


def test_a_function_that_fails_is_placed(user_file, refusal):
    spec = user_file("def make():\n    return deeper()\n\n"
                     "def deeper():\n    raise ValueError('no')\n")
    message = refusal(run, spec)
    assert "ValueError: no (user_code.py:4)" in message
    assert "correct the function" in message


@pytest.mark.parametrize(("spec", "said"), [
    ("nothing", "package.module:function"),
    ("a:b c", "package.module:function"),
    ("/no/such/file.py:make", "no such file: /no/such/file.py"),
    ("no_such_package_at_all.nets:make", "No module named 'no_such_package_at_all'"),
    ("mpsearch.zoo.digits:nope", "no function 'nope'"),
])
def test_names_that_lead_nowhere(refusal, spec, said):
    assert said in refusal(load_function, spec)
