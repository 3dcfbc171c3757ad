import sys

import pytest
import timm
import torch
from torch import nn

from mpsearch.sources import hub
from mpsearch.sources.model import load_model


@pytest.fixture
def no_network(monkeypatch):
    def nothing(*_):
        raise OSError("no such host")

    monkeypatch.setattr(hub.socket, "getaddrinfo", nothing)
    monkeypatch.setattr(hub, "getproxies", dict)


def saved(spec, path):
    from safetensors.torch import save_file

    save_file(timm.create_model(spec).state_dict(), path)
    return str(path)


def test_function_model_is_frozen_and_in_evaluation_mode(user_file):
    loaded = load_model(user_file("def make():\n    return nn.Sequential(nn.Linear(2, 3))\n"))
    assert not loaded.module.training
    assert not any(each.requires_grad for each in loaded.module.parameters())
    assert loaded.source.endswith("user_code.py:make")
    assert loaded.preprocessing.assumed


def test_random_weights_are_the_same_every_time(user_file):
    spec = user_file("def make():\n    return nn.Linear(2, 3)\n")
    before = torch.random.get_rng_state()
    first, second = (load_model(spec).module.weight for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())


def test_timm_model_with_weights(tmp_path):
    weights = saved("test_vit", tmp_path / "w.safetensors")
    loaded = load_model("test_vit", weights)
    assert loaded.preprocessing.size == (3, 160, 160)
    assert not loaded.preprocessing.assumed
    assert loaded.notes == ()
    assert not torch.equal(loaded.module.head.weight, timm.create_model("test_vit").head.weight)
    again = load_model("test_vit.r160_in1k", weights)
    assert torch.equal(loaded.module.head.weight, again.module.head.weight)


def test_timm_model_that_was_never_trained_says_so(monkeypatch):
    monkeypatch.setattr(timm, "list_pretrained", lambda *_: [])
    loaded = load_model("test_vit")
    assert "random" in loaded.notes[0]
    assert "--weights" in loaded.notes[0]


@pytest.mark.parametrize("spec", ["test_vit", "hf-hub:timm/no_such_model_at_all"])
@pytest.mark.usefixtures("no_network")
def test_without_network_weights_are_asked_for(spec, refusal, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    before = constants.HF_HUB_OFFLINE
    message = refusal(load_model, spec)
    assert "pass --weights FILE" in message
    assert spec in message
    assert before == constants.HF_HUB_OFFLINE


def test_proxies_resolve_names_for_us(monkeypatch):
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy"})
    assert hub._resolves("https://name.invalid")


@pytest.mark.parametrize(("spec", "said"), [
    ("test_vi", "test_vit"),
    ("test_vit.nothing", "test_vit.r160_in1k"),
    ("qqqqqqqq", "path/file.py:function"),
    ("net.py", "path/file.py:function"),
])
def test_unknown_names(refusal, spec, said):
    message = refusal(load_model, spec)
    assert said in message
    assert spec in message


def test_function_that_returns_no_module(user_file, refusal):
    assert "returned a dict" in refusal(load_model, user_file("def make():\n    return {}\n"))


def test_function_that_wants_arguments(user_file, refusal):
    assert "TypeError" in refusal(load_model, user_file("def make(size):\n    return size\n"))


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_named(user_file, refusal, value):
    spec = user_file("def make():\n    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))\n"
                     f"    net[1].weight.data[0, 0] = float('{value}')\n    return net\n")
    assert "1.weight" in refusal(load_model, spec)


def test_infinite_masks_in_buffers_are_fine(user_file, refusal):
    text = ("def make():\n    net = nn.Linear(2, 3)\n"
            "    net.register_buffer('mask', torch.tensor([float('{}')]))\n    return net\n")
    assert load_model(user_file(text.format("-inf"))).module.mask.isinf().all()
    assert "mask" in refusal(load_model, user_file(text.format("nan")))


def test_nothing_is_printed(user_file, capsys, tmp_path):
    load_model("test_vit", saved("test_vit", tmp_path / "w.safetensors"))
    load_model(user_file("def make():\n    print('hello')\n    return nn.Linear(1, 1)\n"))
    assert capsys.readouterr().out == ""


def test_the_reference_model_needs_no_special_case():
    loaded = load_model("mpsearch.zoo.digits:model")
    assert isinstance(loaded.module, nn.Module)
    assert loaded.preprocessing.size == (1, 8, 8)
    assert "mpsearch.zoo.digits" in sys.modules
