"""Small models under a policy of any formats, and files to damage."""

from __future__ import annotations

import hashlib
import json

import pytest

from mpsearch.core.types import Group, Policy, Scheme, SearchSpace, Totals
from mpsearch.cost.size import stored_bits
from mpsearch.fakequant.activations import calibrate
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.packed.container import PREFIX
from mpsearch.steps.pack import pack
from mpsearch.steps.request import Request
from mpsearch.steps.session import Session
from mpsearch.workspace import Workspace


class Held(Session):
    """A session on a module that the test holds."""

    def __init__(self, module, captured):
        super().__init__(Request(), Workspace("nowhere"))
        self.module, self.captured = module, captured

    @property
    def loaded(self):
        from mpsearch.sources.objects import given_model

        return given_model(self.module)


@pytest.fixture(scope="session", autouse=True)
def _on_one_thread(one_thread):
    pass


@pytest.fixture(scope="session")
def session_of():
    """A session on any module, captured on these arguments."""
    from mpsearch.steps.capture import capture

    return lambda module, args, source="own": Held(module, capture(module, args, source=source))


@pytest.fixture(scope="session")
def session_on(models, session_of):
    """A session on one of the small networks; made once, so leave it as it is."""
    made = {}

    def open_it(name):
        if name not in made:
            module, inputs = models.build(name)
            made[name] = session_of(module, inputs(3), name), inputs
        return made[name]

    return open_it


@pytest.fixture(scope="session")
def policy_of():
    """The policy that gives each layer what *schemes* says: one scheme, or one by layer."""

    def make(session, schemes, batches=()):
        captured = session.captured
        layers = {spec.name: (schemes if isinstance(schemes, Scheme) else schemes[spec.name]
                              ).for_kind(spec.kind) for spec in captured.layers.specs}
        space = SearchSpace(name="one", layers=captured.layers.specs, groups=tuple(
            Group(name=name, layers=(name,), schemes=(each,)) for name, each in layers.items()))
        ranges = calibrate(captured.program, space, batches)
        found = {name: chosen_ranges(ranges, name, {"input": each.input, "other": each.other})
                 for name, each in layers.items()}
        owners = {spec.parameter_group: spec for spec in reversed(captured.layers.specs)
                  if spec.weight}.values()
        size = sum(stored_bits(spec, layers[spec.name]) for spec in owners)
        totals = Totals(weights=sum(spec.weights for spec in owners), size_bits=size,
                        bits_per_weight=1.0, file_bytes=0, bops=1.0, predicted_loss=0.5)
        return Policy(model=captured.model, layers=layers, totals=totals,
                      activations={name: each for name, each in found.items() if each})

    return make


@pytest.fixture
def packed_chain(session_on, policy_of, models, tmp_path):
    """A file of the small chain of linear layers in 3 and 4 bits, its session, and its policy."""
    session, _ = session_on("chain")
    names = [spec.name for spec in session.captured.layers.specs]
    fmt = models.int_format
    schemes = {name: Scheme(weight=fmt(3 + i % 2, symmetric=i > 0)) for i, name in enumerate(names)}
    policy, path = policy_of(session, schemes), tmp_path / "model.safetensors"
    pack(policy, session, path)
    return path, session, policy


def header_and_data(content):
    size = PREFIX + int.from_bytes(content[:PREFIX], "little")
    return json.loads(content[PREFIX:size]), content[size:]


def sealed_again(header, data, *, text=None):
    """A file of this header with the digest that belongs to it, as a forger would write it."""
    metadata = header["__metadata__"]
    body = {"__metadata__": {"sha256": "0" * 64,
                             **{k: v for k, v in metadata.items() if k != "sha256"}},
            **{name: each for name, each in header.items() if name != "__metadata__"}}
    raw = (text or json.dumps(body, separators=(",", ":"))).encode()
    raw = raw.ljust(-(-(PREFIX + len(raw)) // PREFIX) * PREFIX - PREFIX)
    blank = len(raw).to_bytes(PREFIX, "little") + raw
    digest = hashlib.sha256(blank + data).hexdigest().encode()
    return blank.replace(b"0" * 64, digest, 1) + data


@pytest.fixture
def forge():
    """Change a packed file's header or data and seal it again."""

    def change(path, *, edit=None, data=None):
        header, old = header_and_data(path.read_bytes())
        if edit:
            edit(header)
        path.write_bytes(sealed_again(header, old if data is None else data))
        return path

    return change


@pytest.fixture
def metadata():
    """Change a piece of JSON in the metadata of a header."""

    def change(header, name, edit):
        pieces = header["__metadata__"]
        part = json.loads(pieces[f"mpsearch_{name}"])
        edit(part)
        pieces[f"mpsearch_{name}"] = json.dumps(part, separators=(",", ":"))

    return change

