"""A fingerprint changes with any stored number, and the rest of a model is weighed."""

import torch
from torch import nn

from mpsearch.graph.fingerprint import fingerprint, other_bytes


def test_equal_models_have_equal_fingerprints(models):
    first, second = (models.build("residual")[0] for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first).startswith("sha256:")


def test_any_number_counts(models):
    seen = {fingerprint(models.build("residual")[0])}
    for name in ("conv1.weight", "head.bias", "norm1.running_var"):
        module, _ = models.build("residual")
        module.state_dict()[name].view(-1)[0] += 1e-6
        seen.add(fingerprint(module))
    assert len(seen) == 4


def test_names_shapes_and_types_count():
    weight = torch.zeros(4, 4)
    modules = [nn.Module() for _ in range(4)]
    for module, (name, tensor) in zip(modules, [
            ("a", weight), ("b", weight), ("a", weight.reshape(2, 8)),
            ("a", weight.to(torch.int32))], strict=True):
        module.register_buffer(name, tensor)
    assert len({fingerprint(module) for module in modules}) == 4


def test_odd_tensors_are_digested():
    module = nn.Module()
    for name, tensor in [("scalar", torch.tensor(3.0)), ("truth", torch.tensor([True])),
                         ("empty", torch.zeros(0, 3)), ("turned", torch.zeros(3, 2).T),
                         ("short", torch.zeros(2, dtype=torch.bfloat16))]:
        module.register_buffer(name, tensor)
    assert len(fingerprint(module)) == len("sha256:") + 64


def test_other_bytes_are_what_is_no_quantisable_weight(models):
    model = models.caught("residual")
    others = sum(tensor.numel() * tensor.element_size()
                 for name, tensor in model.module.state_dict().items()
                 if not (name.endswith("weight") and "norm" not in name))
    assert other_bytes(model.module, model.layers.specs) == others


def test_shared_tensors_weigh_once(models):
    model = models.caught("language")
    assert other_bytes(model.module, model.layers.specs) == 4 * 8  # the bias of the mlp
