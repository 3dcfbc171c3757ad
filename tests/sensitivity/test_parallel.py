"""Several workers find, to the byte, what one finds."""

import joblib
import pytest
import torch
from torch import nn

import mpsearch

ESTIMATORS = ("kl_probe", "fisher")
FEW = {"calibration_samples": 2, "evaluation_samples": 1, "batch_size": 1}
SPACE = """
[[rule]]
kind = ["linear", "conv"]
%s
weight = { bits = [3, 6], granularity = "channel", scale = "absmax" }
"""


def tables(folder):
    return {path.name: path.read_bytes() for path in (folder / "tables").iterdir()}


@pytest.fixture
def found(tmp_path):
    """The bytes of all tables, measured under a backend of joblib."""
    space = tmp_path / "space.toml"

    def under(backend, model=None, layers="", **options):
        space.write_text(SPACE % layers)
        place = tmp_path / (backend or "here")
        with joblib.parallel_config(backend=backend or "sequential", n_jobs=2 if backend else 1):
            made = mpsearch.measure(model, estimators=ESTIMATORS, workspace=str(place),
                                    space=str(space), **FEW, **options)
        assert made.new_units > 0
        assert not list((place / "ledgers").glob("*.jsonl"))
        return tables(place)
    return under


def test_processes_and_threads_on_the_embedded_model(found):
    first = 'layer = "blocks.0.*"'
    alone = found(None, layers=first)
    assert len(alone) > len(ESTIMATORS), "others ride along"
    assert found("threading", layers=first) == alone
    assert found("loky", layers=first) == alone


def test_threads_and_processes_on_a_module_of_the_users(found):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3))
    data = [(torch.randn(10, 3, 6, 6), torch.arange(10) % 3)]
    alone = found(None, net, data=data)
    assert found("threading", net, data=data) == alone
    assert found("loky", net, data=data) == alone
