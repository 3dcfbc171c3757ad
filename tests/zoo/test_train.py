import pytest
import torch

from mpsearch.zoo import digits, train


@pytest.fixture(scope="module")
def brief():
    """One epoch from seed 0, and what was told of it."""
    lines = []
    return train.train(epochs=1, seed=0, tell=lines.append), lines


def test_training_repeats_exactly(brief, tmp_path, capsys):
    state, path = torch.random.get_rng_state(), tmp_path / "w.safetensors"
    train.main(["--output", str(path), "--epochs", "1"])
    assert path.read_bytes() == train.encode(brief[0])
    assert torch.equal(state, torch.random.get_rng_state())
    assert f"wrote {path}: test top-1" in capsys.readouterr().out


def test_seed_and_progress(brief):
    network, lines = brief
    other = train.train(epochs=1, seed=1, tell=lines.append)
    assert train.encode(network) != train.encode(other)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/1"] * 2


def test_what_is_trained_is_the_shipped_architecture(brief):
    network, _ = brief
    assert not network.training
    shapes = [{name: value.shape for name, value in each.state_dict().items()}
              for each in (network, digits.model())]
    assert shapes[0] == shapes[1]
