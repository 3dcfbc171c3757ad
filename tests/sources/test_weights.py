import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mpsearch.sources.weights import load_weights


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.fixture
def other():
    """A state dict that no fresh network has."""
    return {name: torch.full_like(value, 5) for name, value in net().state_dict().items()}


@pytest.fixture
def into(tmp_path):
    def load(content, module=None, name="w.pth"):
        path = tmp_path / name
        if name.endswith(".safetensors"):
            save_file(content, path)
        else:
            torch.save(content, path)
        module = net() if module is None else module
        load_weights(module, str(path))
        return module

    return load


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "w.bin"])
def test_every_kind_of_file(into, other, name):
    assert into(other, name=name)[0].weight.unique().tolist() == [5]


@pytest.mark.parametrize("wrap", [
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": state},
    lambda state: {"model_state_dict": state},
    lambda state: {"state_dict": {"model": state}},
    lambda state: {f"module.{name}": value for name, value in state.items()},
    lambda state: {"model": {f"module._orig_mod.{name}": value for name, value in state.items()}},
])
def test_wrappers_of_training_scripts(into, other, wrap):
    assert into(wrap(other))[0].weight.unique().tolist() == [5]


def test_a_model_whose_own_names_begin_like_a_wrapper(into):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(1, 1)

    assert into({"module.weight": torch.ones(1, 1), "module.bias": torch.ones(1)}, Own())


def test_counters_may_be_missing_and_tied_weights_stored_once(into, other):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(2, 2, bias=False)
            self.second = nn.Linear(2, 2, bias=False)
            self.second.weight = self.first.weight

    del other["1.num_batches_tracked"]
    assert into(other)
    assert into({"first.weight": torch.ones(2, 2)}, Tied()).second.weight.sum() == 4


@pytest.mark.parametrize(("change", "said"), [
    (lambda s: s.pop("0.weight"), "1 missing (0.weight)"),
    (lambda s: s.update(extra=torch.ones(1)), "1 unexpected (extra)"),
    (lambda s: s.update({"0.weight": torch.ones(3, 4)}), "0.weight is 3x4 in the file and 3x2"),
    (lambda s: [s.pop(name) for name in list(s)[:5]], "and 2 more"),
    (lambda s: s.clear(), "no weights in it"),
    (lambda s: s.update(epoch="three"), "not a state dict"),
])
def test_state_dicts_that_do_not_fit(into, other, refusal, change, said):
    change(other)
    message = refusal(into, other)
    assert said in message
    assert "w.pth" in message


def test_a_tensor_is_no_state_dict(into, refusal):
    assert "not a state dict" in refusal(into, torch.ones(3))


class Hostile:
    """Unpickling this runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("writer", ["torch", "plain"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_pickled_code_is_not_run(tmp_path, refusal, writer, suffix):
    trace, path = tmp_path / "was_run", tmp_path / f"w{suffix}"
    if writer == "torch":
        torch.save({"state_dict": Hostile(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Hostile(trace)}))
    message = refusal(load_weights, net(), str(path))
    assert ".safetensors" in message
    assert not trace.exists()


def test_the_hostile_file_would_have_run(tmp_path):
    trace, path = tmp_path / "was_run", tmp_path / "w.pth"
    torch.save(Hostile(trace), path)
    torch.load(path, weights_only=False).close()
    assert trace.exists()


@pytest.mark.parametrize(("name", "content", "said"), [
    ("none.pth", None, "no such weights file"),
    ("w.onnx", b"x", ".safetensors, .pth"),
    ("w.safetensors", b"not tensors", "damaged"),
    ("w.pth", b"", "damaged"),
    ("w.pth", b"PK\x03\x04 cut short", "damaged"),
])
def test_files_that_cannot_be_read(tmp_path, refusal, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    message = refusal(load_weights, net(), str(tmp_path / name))
    assert said in message
    assert name in message
