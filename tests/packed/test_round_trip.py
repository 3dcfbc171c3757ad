"""A packed file runs exactly as the policy does on the float model."""

from functools import cache

import pytest
import torch
from safetensors import safe_open
from torch import nn

from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats import registry
from mpsearch.core.types import Scheme
from mpsearch.packed.reading import read_packed
from mpsearch.steps.pack import pack
from mpsearch.steps.run import apply_policy
from mpsearch.steps.unpack import open_packed
from tests.formats import formats_of

BITS = {"normal": 5, "tensor": 8}  # of codes whose codewords a test may wait for


def quick(fmt):
    return fmt.code_bits <= BITS.get(getattr(fmt, "source", ""), 16)


def check(session, policy, bare, args, path):
    """The file at *path*, filled into the *bare* module, gives what the policy gives."""
    captured = session.captured
    expected = Simulated()(captured.program, captured.fake, policy.layers, policy.activations)
    written = pack(policy, session, path)
    assert path.stat().st_size == written.file_bytes == written.policy.totals.file_bytes
    opened = open_packed(path, bare, {})
    assert opened.packed.header_bytes == written.header_bytes
    module = apply_policy(opened.packed.policy, opened, None, "simulated")
    with torch.no_grad():
        assert torch.equal(module(*args), expected(*args))
    assert opened.captured.notes == captured.notes


def scrambled(models, name):
    """The architecture with other numbers in it."""
    module, _ = models.build(name)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point() and not tensor.isinf().any():
                tensor.add_(1.5)
    return module


@pytest.fixture(scope="module")
def chain_of(models, session_of):
    """A session on so many linear layers, wide enough for groups; made once, so leave it."""
    @cache
    def made(depth):
        torch.manual_seed(0)
        return session_of(models.Chain(depth=depth, width=20).eval(), (torch.randn(3, 6),))

    return made


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_of_format_comes_back_bit_for_bit(models, chain_of, policy_of, tmp_path, kind):
    """A layer for each format, wide enough for groups and outlier columns."""
    weights = [fmt for fmt in formats_of(kind, most=4) if quick(fmt)]
    others = [fmt for fmt in formats_of(kind, operand="input", most=3)
              if not fmt.granularity.startswith("group")]
    assert weights or others
    depth = max(len(weights), len(others), 2)
    session = chain_of(depth)
    torch.manual_seed(0)
    schemes = {spec.name: Scheme(weight=weights[i % len(weights)] if weights else None,
                                 input=others[i % len(others)] if others else None)
               for i, spec in enumerate(session.captured.layers.specs)}
    policy = policy_of(session, schemes, [(torch.randn(4, 6),)])
    check(session, policy, models.Chain(depth=depth, width=20), (torch.randn(5, 6),),
          tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["residual", "stored", "autoencoder", "language",
                                  "sdpa", "branch", "all_star"])
def test_every_way_to_store_a_weight(models, session_on, policy_of, tmp_path, name):
    session, inputs = session_on(name)
    scheme = Scheme(weight=models.int_format(3), input=models.int_format(8, "token"),
                    other=models.int_format(8, "token"))
    check(session, policy_of(session, scheme), scrambled(models, name), inputs(3, 2),
          tmp_path / "model.safetensors")


def test_tied_weights_are_stored_once(session_on, models, policy_of, tmp_path):
    session, _ = session_on("language")
    policy = policy_of(session, Scheme(weight=models.int_format(4)))
    pack(policy, session, tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        names = set(file.keys())
    assert {"tokens.weight_packed", "mlp.bias"} <= names
    assert not any(name.startswith("head") for name in names)
    assert read_packed(tmp_path / "m.safetensors").manifest.aliases == {
        "head.weight": "tokens.weight"}


def test_other_programs_read_the_tensors(packed_chain):
    path, session, _ = packed_chain
    module = session.module
    with safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "pt"
        names = [name for name in module.state_dict() if name.endswith("bias")]
        for name in names:
            assert torch.equal(file.get_tensor(name), module.get_parameter(name))
        assert file.get_tensor("layers.0.weight_packed").shape == (8, 3)
        assert file.get_tensor("layers.0.weight_zero_point").dtype == torch.uint8


def test_the_same_policy_gives_the_same_bytes(packed_chain, tmp_path):
    path, session, policy = packed_chain
    pack(policy, session, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "again.safetensors", "model.safetensors"], "no temporary file stays"


def test_half_precision_stays_half(models, session_of, policy_of, tmp_path):
    module, inputs = models.build("chain")
    module = module.half()
    args = tuple(arg.half() for arg in inputs(3))
    session = session_of(module, args)
    policy = policy_of(session, Scheme(weight=models.int_format(4)))
    check(session, policy, models.build("chain")[0].half(), args, tmp_path / "m.safetensors")


def test_layers_that_share_a_weight_need_one_format(session_on, models, policy_of, tmp_path):
    session, _ = session_on("language")
    policy = policy_of(session, Scheme(weight=models.int_format(4)))
    policy.layers["head"] = Scheme(weight=models.int_format(3))
    with pytest.raises(BadInput, match=r"tokens and head share the weight 'tokens\.weight'"):
        pack(policy, session, tmp_path / "m.safetensors")


def test_a_name_that_the_model_has_itself_is_refused(models, session_of, policy_of, tmp_path):
    module = nn.Sequential(nn.Linear(6, 3))
    module[0].register_buffer("weight_packed", torch.zeros(2))
    session = session_of(module, (torch.randn(3, 6),))
    policy = policy_of(session, Scheme(weight=models.int_format(4)))
    with pytest.raises(Unsupported, match=r"two tensors '0\.weight_packed'"):
        pack(policy, session, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_the_architecture_computes_otherwise_are_told_of(
        session_of, policy_of, models, tmp_path):
    class Shifted(nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.layer = nn.Linear(6, 3)
            self.register_buffer("shift", torch.full((6,), shift), persistent=False)

        def forward(self, x):
            return self.layer(x + self.shift)

    module = Shifted(1.0)
    session = session_of(module, (torch.randn(3, 6),))
    policy = policy_of(session, Scheme(weight=models.int_format(4)))
    pack(policy, session, tmp_path / "m.safetensors")
    assert open_packed(tmp_path / "m.safetensors", Shifted(1.0), {}).captured.notes == ()
    (note,) = open_packed(tmp_path / "m.safetensors", Shifted(2.0), {}).captured.notes
    assert "outputs may differ" in note
