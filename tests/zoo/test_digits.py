import torch

from mpsearch.sources.data import load_data
from mpsearch.sources.model import load_model
from mpsearch.zoo import digits, train


def test_held_out_accuracy():
    images, labels = digits.portion("test")
    assert len(labels) == 514
    assert train.accuracy(digits.model()) >= 0.97
    with torch.no_grad():
        assert digits.model()(images).shape == (514, digits.CLASSES)


def test_weights_are_small():
    assert digits.WEIGHTS.stat().st_size < 600_000


def test_portions_share_no_row():
    rows = [{tuple(image.flatten().tolist()) for image in digits.portion(name)[0]}
            for name in ("train", "test")]
    assert not rows[0] & rows[1]
    assert sum(map(len, rows)) == 1797


def test_evaluation_is_the_held_out_portion():
    held_out, labels = digits.portion("test")
    batches = list(digits.data("evaluation"))
    images = torch.cat([x for x, _ in batches])
    expected = {(*x.flatten().tolist(), int(y)) for x, y in zip(held_out, labels, strict=True)}
    found = {(*x.flatten().tolist(), int(y))
             for x, y in zip(images, torch.cat([y for _, y in batches]), strict=True)}
    assert found == expected
    assert len(torch.cat([y for _, y in digits.data("calibration")])) == 1797 - 514


def test_images_are_scaled():
    images, labels = digits.portion("train")
    assert images.shape[1:] == (1, 8, 8)
    assert (images.min(), images.max()) == (-1, 1)
    assert sorted(labels.unique().tolist()) == list(range(10))


def test_data_follows_its_seed():
    first, again, other = (next(digits.data("calibration", seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_loads_like_any_function():
    loaded = load_model("mpsearch.zoo.digits:model")
    parts = [load_data("mpsearch.zoo.digits:data", loaded.preprocessing, split=split, samples=200,
                       batch_size=64, seed=0) for split in ("calibration", "evaluation")]
    assert [part.samples for part in parts] == [200, 200]
    assert parts[0].labelled
    with torch.no_grad():
        right = sum(int((loaded.module(*batch.args).argmax(1) == batch.labels).sum())
                    for batch in parts[1])
    assert right >= 0.95 * 200


def accuracy_at(bits):
    network = digits.model()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and name != "pos_embed":
                rows = weight.flatten(1)
                top = 2 ** (bits - 1) - 1
                scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / top
                weight.copy_(((rows / scale).round() * scale).view_as(weight))
    return train.accuracy(network)


def test_bits_matter():
    """What makes the model worth searching: eight bits cost nothing, two cost a lot."""
    assert accuracy_at(8) >= 0.97
    assert accuracy_at(2) < 0.75
