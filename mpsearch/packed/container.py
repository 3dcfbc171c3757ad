"""The bytes of a safetensors file: the length of a header, the header, then tensors end to end.

The header is JSON and says of each tensor its type, its shape and where it begins and ends. Read
here it is held to the letter, before anything of the size it states is asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mpsearch.core.errors import BadInput

PREFIX = 8
"""Bytes of the header's length; the header itself fills whole eights, so that tensors lie even."""
LONGEST = 100_000_000
"""Bytes of the longest header that readers of the format take."""
METADATA = "__metadata__"
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2,
         "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
         "C64": 8}
"""Bytes of one number of each type."""
_FIELDS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tensor in the file: its type, its shape, and its bytes, counted from the first tensor's."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def entries_of(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Entry]:
    """Where tensors of these types and shapes lie: the widest numbers first, then by name."""
    entries: dict[str, Entry] = {}
    start = 0
    for name in sorted(tensors, key=lambda each: (-SIZES[tensors[each][0]], each)):
        dtype, shape = tensors[name]
        stop = start + math.prod(shape) * SIZES[dtype]
        entries[name] = Entry(dtype=dtype, shape=shape, start=start, stop=stop)
        start = stop
    return entries


def header_of(entries: Mapping[str, Entry], metadata: Mapping[str, str], length: int = 0) -> bytes:
    """The header with its length in front, filled up with spaces to *length* bytes in all.

    Where that is no multiple of eight, or too little, it is as long as it must be.
    """
    text = json.dumps({METADATA: dict(metadata), **{
        name: {"dtype": each.dtype, "shape": each.shape, "data_offsets": [each.start, each.stop]}
        for name, each in entries.items()}}, separators=(",", ":")).encode()
    asked = length if length == whole(length) <= LONGEST else 0
    size = max(whole(PREFIX + len(text)), asked)
    return (size - PREFIX).to_bytes(PREFIX, "little") + text.ljust(size - PREFIX)


def whole(size: int) -> int:
    """*size* bytes filled up to whole eights."""
    return -(-size // PREFIX) * PREFIX


def header_size(start: bytes, file_size: int, where: str) -> int:
    """Bytes of the header and its length, which are the *start* of a file of this size.

    Raises:
        BadInput: the file is too short for what it states.
    """
    if len(start) < PREFIX:
        raise BadInput(f"{where} is no safetensors file: it has {file_size} bytes")
    stated = int.from_bytes(start[:PREFIX], "little")
    if stated > min(LONGEST, file_size - PREFIX):
        raise BadInput(f"{where} is cut short, or no safetensors file: it states a header of "
                       f"{stated} bytes and has {file_size} in all: write or copy it again")
    return PREFIX + stated


def read_header(header: bytes, data: int, where: str) -> tuple[dict[str, Entry], dict[str, str]]:
    """The entries and the metadata in *header*, behind which there are *data* bytes.

    Raises:
        BadInput: it is not JSON of the right form, or its tensors do not lie end to end up to the
            last byte.
    """
    try:
        content = json.loads(header[PREFIX:].decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the header of {where} is damaged ({str(error)[:80]}): write or copy the "
                       "file again") from error
    if not isinstance(content, dict):
        raise BadInput(f"the header of {where} is damaged: it is not an object")
    metadata = content.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise BadInput(f"the header of {where} is damaged: its metadata is not text by name")
    entries = {name: _entry(name, each, where) for name, each in content.items()}
    _check_places(entries, data, where)
    return entries, metadata


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it has '{name[:40]}' twice")
        found[name] = value
    return found


def _entry(name: str, stated: Any, where: str) -> Entry:
    if not isinstance(stated, dict) or stated.keys() != _FIELDS:
        raise BadInput(f"the header of {where} is damaged: '{name}' has no type, shape and place")
    dtype, shape, place = stated["dtype"], stated["shape"], stated["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise BadInput(f"{where}: '{name}' is of the unknown type {dtype!s:.20}: a newer program "
                       "may have written it")
    if not _counts(shape) or not _counts(place) or len(place) != 2:  # noqa: PLR2004 - both ends
        raise BadInput(f"the header of {where} is damaged: the shape or place of '{name}' is not "
                       "made of whole numbers")
    start, stop = place
    if stop - start != math.prod(shape) * SIZES[dtype]:
        raise BadInput(f"the header of {where} is damaged: '{name}' does not have the size of its "
                       "shape")
    return Entry(dtype=dtype, shape=tuple(shape), start=start, stop=stop)


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)


def _check_places(entries: Mapping[str, Entry], data: int, where: str) -> None:
    end = 0
    for name, each in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if each.start != end:
            what = "overlaps another tensor" if each.start < end else "leaves a gap before it"
            raise BadInput(f"the header of {where} is damaged: '{name}' {what}")
        end = each.stop
    if end != data:
        what = "cut short" if end > data else "followed by something else"
        raise BadInput(f"{where} is {what}: its tensors take {end} bytes and there are {data}: "
                       "write or copy it again")
