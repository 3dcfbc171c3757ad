"""Files that are damaged or forged at random: refused, or as good as they were."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import MpsearchError
from mpsearch.packed.decoding import weight_of
from mpsearch.packed.reading import read_packed
from tests.packed.conftest import header_and_data, sealed_again

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(path):
    """Everything that is done with a file before an architecture is built."""
    packed = read_packed(path)
    for name in packed.manifest.weights:
        assert weight_of(packed, name).dense().isfinite().all()


def tried(path):
    try:
        load(path)
    except MpsearchError:
        return False
    return True


@FUZZ
@given(data=st.data())
def test_no_damage_goes_unseen(packed_chain, data):
    path, _, _ = packed_chain
    content = path.read_bytes()
    changed = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([None, None, *range(0, len(content), 97)]))
    other = path.with_name("other.safetensors")
    other.write_bytes(changed[:cut])
    assert tried(other) == (bytes(changed[:cut]) == content)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4)
    | st.sampled_from(["F32", "U8", "weight", "layers.0", "int", "tensor", [], {}, [0, 1], [8, 6]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                                max_size=3), max_leaves=4)


def places(value, path=()):
    """Every place in a piece of JSON."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(
        value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def put(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@FUZZ
@given(data=st.data())
def test_no_forged_json_does_harm(packed_chain, data):
    path, _, _ = packed_chain
    header, numbers = header_and_data(path.read_bytes())
    piece = data.draw(st.sampled_from([None, "mpsearch_manifest", "mpsearch_policy"]))
    whole = header if piece is None else json.loads(header["__metadata__"][piece])
    spots = [each for each in places(whole) if each and each[0] != "__metadata__"]
    whole = put(whole, data.draw(st.sampled_from(spots)), data.draw(JUNK))
    if piece is None:
        header = whole
    else:
        header["__metadata__"][piece] = json.dumps(whole)
    other = path.with_name("other.safetensors")
    other.write_bytes(sealed_again(header, numbers))
    tried(other)


@FUZZ
@given(data=st.data())
def test_no_forged_numbers_do_harm(packed_chain, data):
    path, _, _ = packed_chain
    header, numbers = header_and_data(path.read_bytes())
    changed = bytearray(numbers)
    for place in data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=1, max_size=6)):
        changed[place] = data.draw(st.integers(0, 255))
    other = path.with_name("other.safetensors")
    other.write_bytes(sealed_again(header, bytes(changed)))
    tried(other)
