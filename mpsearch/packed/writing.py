"""Write the file: the same contents always give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mpsearch.core import io
from mpsearch.core.types import Policy
from mpsearch.packed.container import Entry, entries_of, header_of
from mpsearch.packed.contents import Contents
from mpsearch.packed.metadata import metadata_of, shortened
from mpsearch.packed.seal import sealed
from mpsearch.packed.types import bytes_of, name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that was written: its bytes in all and in its header, and the policy in it."""

    file_bytes: int
    header_bytes: int
    policy: Policy


def write_packed(path: str | os.PathLike[str], contents: Contents) -> Written:
    """Write *contents* to *path*, whole or not at all.

    The file has the bytes that the policy's totals state, where the header fits into what they
    leave beside the tensors: it is filled up with spaces, and as much of the provenance is kept as
    there is room for. Where it does not fit, because the policy was not made for this model by
    this version, the header is as long as it must be, and the totals in the file say so.

    Raises:
        BadInput: the place cannot be written.
        Unsupported: a tensor of a type that the file cannot hold.
    """
    tensors = contents.tensors
    entries = entries_of({name: (name_of(tensor, name), tuple(tensor.shape))
                          for name, tensor in tensors.items()})
    header, policy = _header(contents, entries)
    data = [bytes_of(tensors[name]) for name in entries]
    io.write(path, sealed(header, data), *data)
    return Written(file_bytes=policy.totals.file_bytes, header_bytes=len(header), policy=policy)


def _header(contents: Contents, entries: Mapping[str, Entry]) -> tuple[bytes, Policy]:
    data = max((each.stop for each in entries.values()), default=0)
    room = contents.policy.totals.file_bytes - data
    for policy in shortened(contents.policy):
        header = header_of(entries, metadata_of(policy, contents.manifest), room)
        if len(header) == room:
            return header, policy
    return _as_long_as_needed(contents, entries, data)


def _as_long_as_needed(contents: Contents, entries: Mapping[str, Entry],
                       data: int) -> tuple[bytes, Policy]:
    policy, length = contents.policy, 0
    while True:  # the number of bytes is itself among the bytes; it only ever grows
        own = replace(policy, totals=replace(policy.totals, file_bytes=length + data))
        header = header_of(entries, metadata_of(own, contents.manifest), length)
        if len(header) == length:
            return header, own
        length = len(header)
