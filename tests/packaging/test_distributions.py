"""What a wheel and a source distribution hold."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

from mpsearch.core import io


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """Builds both: the source distribution from the checkout, the wheel from that."""
    place = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, root],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def sdist(built):
    """Names in the source distribution, without its own top folder."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def sources(root, pattern):
    return {path.relative_to(root).as_posix() for path in root.glob(pattern)
            if "__pycache__" not in path.parts}


def test_the_wheel_holds_only_the_package_and_its_metadata(wheel, root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"mpsearch", f"mpsearch-{project['version']}.dist-info"}
    assert not [name for name in wheel.namelist() if name.endswith((".pyc", ".log"))]


def test_the_wheel_holds_every_module(wheel, root):
    assert sources(root, "mpsearch/**/*.py") <= set(wheel.namelist())


def test_the_wheel_holds_what_is_not_python(wheel, root):
    names = set(wheel.namelist())
    assert {"mpsearch/py.typed", f"mpsearch/core/{io.SCHEMA_NAME}",
            "mpsearch/zoo/digits_vit.safetensors"} <= names
    spaces = sources(root, "search_spaces/*.toml")
    assert spaces
    assert {f"mpsearch/{space}" for space in spaces} <= names


def test_the_wheel_stays_small(wheel):
    assert sum(entry.compress_size for entry in wheel.infolist()) < 5_000_000


def test_the_wheel_names_its_command_and_its_licence(wheel):
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    scripts = wheel.read(f"{folder}/entry_points.txt").decode()
    assert "mpsearch = mpsearch.cli:main" in scripts
    assert "Apache License" in wheel.read(f"{folder}/licenses/LICENSE").decode()
    assert "License-Expression: Apache-2.0" in wheel.read(f"{folder}/METADATA").decode()


def test_the_wheels_search_spaces_are_those_of_the_checkout(wheel, root):
    for space in sources(root, "search_spaces/*"):
        assert wheel.read(f"mpsearch/{space}") == (root / space).read_bytes()


def test_the_source_distribution_holds_what_a_build_and_the_tests_need(sdist, root):
    wanted = (sources(root, "search_spaces/*.toml") | sources(root, "tests/**/*.py")
              | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "cli.py"})
    assert wanted <= sdist


def test_the_source_distribution_holds_nothing_else(sdist):
    tops = {name.split("/")[0] for name in sdist if name}
    assert tops <= {"mpsearch", "search_spaces", "tests", "cli.py", "hatch_build.py",
                    "pyproject.toml", "PKG-INFO", "README.md", "LICENSE", "CHANGELOG.md",
                    ".gitignore"}
    assert not [name for name in sdist if "__pycache__" in name]
