import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mpsearch
from mpsearch.spaces import load_space, shipped
from mpsearch.spaces.read import parse_space
from mpsearch.spaces.resolve import resolve

PACKAGE = Path(mpsearch.__file__).parent
NAMES = ["palette", "weights_and_activations", "weights_grouped", "weights_only"]
SCHEMES = {  # candidates of a linear, conv, embedding and matmul layer
    "palette": (22, 22, 22, 1),
    "weights_only": (6, 6, 6, 1),
    "weights_grouped": (21, 21, 21, 1),
    "weights_and_activations": (42, 42, 7, 6),
}
LIST = ("import sys; from mpsearch.spaces import shipped, load_space; "
        "assert not {'torch', 'timm'} & set(sys.modules); "
        "print(*(load_space(name).name for name in shipped()), *shipped().values(), sep='\\n')")


def test_the_shipped_spaces_are_found():
    assert list(shipped()) == NAMES
    assert all(path.is_file() for path in shipped().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_space_has_its_own_name_and_matches_quietly(name, layer):
    space = load_space(name)
    assert space.name == name
    assert space.description.endswith(".")
    model = [layer(kind, kind) for kind in ("linear", "conv", "embedding", "matmul")]
    search, silent = resolve(space, model)
    assert tuple(len(group.schemes) for group in search.groups) == SCHEMES[name]
    assert resolve(space, [layer("fc")])[1] == silent == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_tied_embedding_keeps_every_weight_width(name, layer):
    tied = [layer("embed", "embedding", parameter_group="p"), layer("head", parameter_group="p")]
    both, _ = resolve(load_space(name), tied)
    alone, _ = resolve(load_space(name), tied[1:])
    assert both.groups[0].schemes == alone.groups[0].schemes


def test_weights_only_is_the_six_widths_in_order(layer):
    search, _ = resolve(load_space("weights_only"), [layer("fc")])
    assert [str(scheme) for scheme in search.groups[0].schemes] == [
        f"W{bits}s/channel" for bits in (2, 3, 4, 5, 6, 8)]


@pytest.mark.parametrize("name", NAMES)
def test_resolving_twice_gives_the_same_space(name, layer):
    model = [layer("embed", "embedding"), layer("a", activation_group="x"),
             layer("b", activation_group="x"), layer("qk", "matmul")]
    assert resolve(load_space(name), model) == resolve(load_space(name), model)


@pytest.mark.parametrize("folder", ["mpsearch/search_spaces", "search_spaces"])
def test_spaces_are_found_in_a_wheel_and_beside_a_checkout(tmp_path, folder):
    leave = shutil.ignore_patterns("__pycache__", "search_spaces")
    shutil.copytree(PACKAGE, tmp_path / "mpsearch", ignore=leave)
    (tmp_path / folder).mkdir()
    for path in shipped().values():
        shutil.copy(path, tmp_path / folder)
    done = subprocess.run([sys.executable, "-c", LIST], cwd=tmp_path, check=True,
                          capture_output=True, text=True)
    files = [str(tmp_path.resolve() / folder / f"{name}.toml") for name in NAMES]
    assert done.stdout.splitlines() == [*NAMES, *files]


def test_every_example_of_the_grammar_is_accepted():
    text = (shipped()["weights_only"].parent / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) >= 5
    for number, example in enumerate(examples):
        assert parse_space(tomllib.loads(example), source=f"example {number}").rules


def test_the_grammar_names_every_shipped_space():
    text = (shipped()["weights_only"].parent / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) >= set(NAMES)
