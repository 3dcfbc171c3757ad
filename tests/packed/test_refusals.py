"""Files that are damaged, forged or from elsewhere: one line that says what is wrong."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.quantizers.bitstream import pack as pack_codes
from mpsearch.steps.pack import pack
from mpsearch.steps.run import apply_policy
from mpsearch.steps.unpack import open_packed
from tests.packed.conftest import header_and_data, sealed_again


def run(path, model):
    opened = open_packed(path, model, {})
    apply_policy(opened.packed.policy, opened, None, "simulated")


def refused(path, words, model=None):
    """The file is refused with one line that has these *words*."""
    with pytest.raises(BadInput, match=words) as caught:
        run(path, torch.nn.ReLU() if model is None else model)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_such_file(tmp_path):
    refused(tmp_path / "gone", "no such file")
    refused(tmp_path, "no such file")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100, -1])
def test_a_file_cut_short(packed_chain, size):
    path, _, _ = packed_chain
    path.write_bytes(path.read_bytes()[:size])
    refused(path, r"no safetensors file|cut short")


def test_a_file_with_something_behind_it(packed_chain):
    path, _, _ = packed_chain
    path.write_bytes(path.read_bytes() + b"more")
    refused(path, "followed by something else")


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**64 - 1])
def test_a_wrong_length_of_the_header(packed_chain, length):
    path, _, _ = packed_chain
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refused(path, "header")


def test_any_changed_bit_is_seen(packed_chain):
    path, _, _ = packed_chain
    content = bytearray(path.read_bytes())
    for place in (len(content) - 1, len(content) // 2, 8 * 40):
        content[place] ^= 4
        path.write_bytes(content)
        refused(path, "damaged|cut short")
        content[place] ^= 4


def test_safetensors_of_another_program(packed_chain, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, other)
    refused(other, "not a packed file")
    path, _, _ = packed_chain
    header, _ = header_and_data(path.read_bytes())
    save_file({"weight": torch.zeros(3)}, other, metadata=header["__metadata__"])
    refused(other, "another program wrote it|damaged")


def test_a_later_layout_says_to_upgrade(packed_chain, forge):
    path, _, _ = packed_chain
    forge(path, edit=lambda header: header["__metadata__"].update(mpsearch_layout="2"))
    refused(path, "layout 2.*upgrade")


def entry(header, name="layers.0.weight_packed"):
    return header[name]


FORGED = {
    "overlapping": (lambda h: h["layers.0.bias"].update(h["layers.1.bias"]), "overlaps|gap"),
    "a huge shape": (lambda h: entry(h).update(shape=[2**40, 2**40]), "size of its shape"),
    "out of bounds": (lambda h: entry(h).update(shape=[2**40],
                                                data_offsets=[0, 2**40]), "overlaps|cut short|gap"),
    "a negative size": (lambda h: entry(h).update(shape=[-8, -3]), "whole numbers"),
    "half a number": (lambda h: entry(h).update(shape=[8.0, 3]), "whole numbers"),
    "places turned": (lambda h: entry(h)["data_offsets"].reverse(), "size of its shape"),
    "an unknown type": (lambda h: entry(h).update(dtype="F4"), "unknown type F4"),
    "a type that is none": (lambda h: entry(h).update(dtype=["U8"]), "unknown type"),
    "another type": (lambda h: entry(h).update(dtype="I8"), "does not fit a weight of shape"),
    "another shape": (lambda h: entry(h).update(shape=[3, 8]), "does not fit a weight of shape"),
    "a field more": (lambda h: entry(h).update(more=1), "no type, shape and place"),
    "no entry": (lambda h: h.update({"layers.0.weight_packed": 3}), "no type, shape and place"),
    "no policy": (lambda h: h["__metadata__"].pop("mpsearch_policy"), "policy in .* not complete"),
    "no manifest": (lambda h: h["__metadata__"].pop("mpsearch_manifest"), "manifest in .* not"),
    "metadata of numbers": (lambda h: h["__metadata__"].update(more=1), "not text"),
    "a layout that is none": (lambda h: h["__metadata__"].update(mpsearch_layout="x"), "states"),
    "a renamed tensor": (lambda h: h.update({"other": h.pop("layers.0.bias")}), "lacks|fit"),
    "a renamed part": (lambda h: h.update({"other": h.pop("layers.0.weight_scale")}),
                       r"lacks the tensor 'layers\.0\.weight_scale'"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_header(packed_chain, forge, models, what):
    path, _, _ = packed_chain
    edit, words = FORGED[what]
    refused(forge(path, edit=edit), words, models.build("chain")[0])


def test_a_name_that_is_there_twice(packed_chain):
    path, _, _ = packed_chain
    header, data = header_and_data(path.read_bytes())
    metadata = {**header.pop("__metadata__"), "sha256": "0" * 64}
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":"))
    text = text.replace('"layers.0.bias"', '"layers.1.bias"')
    path.write_bytes(sealed_again({"__metadata__": {}}, data, text=text))
    refused(path, "twice")


MISLED = {
    "another model": ("policy", lambda p: p["model"].update(fingerprint="sha256:00"),
                      "made for another model"),
    "a policy of the future": ("policy", lambda p: p.update(version=9), "upgrade"),
    "an unknown format": ("policy", lambda p: p["layers"]["layers.0"]["weight"].update(kind="x"),
                          "unknown format"),
    "wider codes": ("policy", lambda p: p["layers"]["layers.0"]["weight"].update(bits=8),
                    "does not fit a weight of shape"),
    "a weight in float": ("policy", lambda p: p["layers"]["layers.0"].update(weight=None),
                          "leaves 'layers.0.weight' in float"),
    "one layer less": ("policy", lambda p: p["layers"].pop("layers.0"), "need one format"),
    "one layer more": ("policy", lambda p: p["layers"].update(more={"weight": None}), "more"),
    "no scheme": ("policy", lambda p: p["layers"].update({"layers.0": 3}), "layers.layers.0"),
    "another shape": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(shape=[8, 7]),
                      "does not fit|fit the model"),
    "a huge shape": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(
        shape=[2**62, 2**62]), "damaged"),
    "no shape": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(shape=[]),
                 "no possible shape"),
    "other sums": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(summed=[0]),
                   "does not fit"),
    "sums that are none": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(
        summed=[7]), "no possible shape"),
    "integers": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(dtype="I32"),
                 "damaged"),
    "another precision": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(
        dtype="F16"), "fit the model"),
    "another layer": ("manifest", lambda m: m["weights"]["layers.0.weight"].update(
        layers=["layers.1"]), "two weights|does not fit"),
    "an alias of nothing": ("manifest", lambda m: m["aliases"].update({"a": "b"}), "lacks 'b'"),
    "an alias of itself": ("manifest", lambda m: m["aliases"].update({"a": "a"}), "itself"),
    "no inputs": ("manifest", lambda m: m.update(inputs=[]), "no possible inputs"),
    "huge inputs": ("manifest", lambda m: m["inputs"][0].update(shape=[2**40, 6]),
                    "no possible inputs"),
    "odd inputs": ("manifest", lambda m: m["inputs"][0].update(dtype="load"),
                   "no possible inputs"),
    "a field more": ("manifest", lambda m: m.update(more=1), "manifest"),
}


@pytest.mark.parametrize("what", MISLED)
def test_a_policy_or_manifest_that_does_not_fit(packed_chain, forge, metadata, models, what):
    path, _, _ = packed_chain
    name, edit, words = MISLED[what]
    forge(path, edit=lambda header: metadata(header, name, edit))
    refused(path, words, models.build("chain")[0])


def poked(path, forge, name, value):
    """The file with the bytes of one tensor begun anew."""
    header, data = header_and_data(path.read_bytes())
    start = header[name]["data_offsets"][0]
    forge(path, data=data[:start] + value + data[start + len(value):])


@pytest.mark.parametrize(("name", "value", "words"), [
    ("layers.1.weight_scale", struct.pack("<e", float("inf")), "a scale is not"),
    ("layers.1.weight_scale", struct.pack("<e", float("nan")), "a scale is not"),
    ("layers.1.weight_scale", struct.pack("<e", -1.0), "a scale is not"),
    ("layers.1.bias", struct.pack("<f", float("nan")), "NaN or infinite"),
    ("layers.0.weight_zero_point", b"\xff", "zero point lies outside the range from 0 to 7"),
    ("layers.0.weight_packed", b"\xff\xff\xff", "behind the last code"),
])
def test_numbers_that_no_encoding_makes(packed_chain, forge, models, name, value, words):
    path, _, _ = packed_chain
    poked(path, forge, name, value)
    refused(path, words, models.build("chain")[0])


def test_codes_that_stand_for_nothing(session_on, policy_of, tmp_path, forge, models):
    from mpsearch.core.formats.floating import FloatFormat
    from mpsearch.core.formats.twin_log import TwinLogFormat

    session, _ = session_on("chain")
    for fmt, code in ((FloatFormat(bits=8, exponent=4), 0x7F), (TwinLogFormat(bits=4), 15)):
        path = tmp_path / "m.safetensors"
        pack(policy_of(session, Scheme(weight=fmt)), session, path)
        poked(path, forge, "layers.0.weight_packed",
              bytes(pack_codes(torch.full((1, 6), code), fmt).flatten().tolist()))
        refused(path, r"'layers\.0\.weight' is damaged", models.build("chain")[0])


def test_a_table_that_is_none(session_on, policy_of, tmp_path, forge, models):
    from mpsearch.core.formats.twin_log import TwinLogFormat

    session, _ = session_on("chain")
    path = tmp_path / "m.safetensors"
    pack(policy_of(session, Scheme(weight=TwinLogFormat(bits=4))), session, path)
    poked(path, forge, "layers.0.weight_table", b"\xf0")
    refused(path, "cannot be decoded", models.build("chain")[0])


def test_a_range_that_is_none(session_on, policy_of, tmp_path, forge, metadata, models):
    from mpsearch.core.formats.levels import Log2Format

    session, inputs = session_on("chain")
    path = tmp_path / "m.safetensors"
    pack(policy_of(session, Scheme(input=Log2Format(bits=4)), [inputs(3)]), session, path)
    forge(path, edit=lambda header: metadata(header, "policy", lambda p: p["activations"][
        "layers.0"]["input"]["more"].update(table=[1e9])))
    refused(path, "range of the input of layer 'layers.0'", models.build("chain")[0])


@pytest.mark.parametrize("name", ["deep", "residual", "attention"])
def test_another_architecture(packed_chain, models, name):
    refused(packed_chain[0], "does not fit the model", models.build(name)[0])


def test_an_architecture_of_ones_own_must_be_named(packed_chain, forge, metadata):
    path, _, _ = packed_chain
    with pytest.raises(BadInput, match="unknown timm model 'chain'"):
        open_packed(path, None, {}).loaded  # noqa: B018
    forge(path, edit=lambda header: metadata(header, "policy", lambda p: p["model"].update(
        source="os:getcwd")))
    with pytest.raises(BadInput, match="a file does not decide what code is run"):
        open_packed(path, None, {})


def test_a_large_model_is_refused_before_it_takes_memory(packed_chain, monkeypatch):
    from mpsearch.steps import architecture

    kinds = []

    def build(name):
        kinds.append(torch.get_default_device().type)
        return original(name)

    original = architecture.build_model
    monkeypatch.setattr(architecture, "build_model", build)
    with pytest.raises(BadInput, match="does not fit the model"):
        open_packed(packed_chain[0], "vit_tiny_patch16_224", {}).loaded  # noqa: B018
    assert kinds == ["meta"]
