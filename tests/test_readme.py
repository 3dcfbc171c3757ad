import doctest
import re

import mpsearch
from mpsearch import plugins
from mpsearch.spaces import shipped
from mpsearch.steps.request import Request


def test_examples_of_the_readme_run(root, tmp_path, monkeypatch):
    """On fewer samples than a user gets who asks for no number: what they do is the same."""
    monkeypatch.chdir(tmp_path)
    for name, samples in (("calibration_samples", 32), ("evaluation_samples", 128)):
        monkeypatch.setitem(Request.__init__.__kwdefaults__, name, samples)
    failed, tried = doctest.testfile(str(root / "README.md"), module_relative=False)
    assert tried >= 8
    assert failed == 0
    assert (tmp_path / "policy.json").exists()


def test_the_readme_lists_every_plugin_and_space(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE))
    kinds = ("estimator", "quantizer", "allocator", "backend")
    expected = {name for kind in kinds for name in plugins.names(kind)} | set(shipped())
    assert expected <= listed


def test_files_the_readme_points_to_exist(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (root / target).exists(), target


def test_every_public_name_is_there():
    for name in mpsearch.__all__:
        assert getattr(mpsearch, name) is not None
    assert callable(mpsearch.allocate)
