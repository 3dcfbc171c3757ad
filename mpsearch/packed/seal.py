"""A digest over every byte of the file, so that no damage goes unseen.

It stands at a fixed place, at the very start of the metadata, and is computed with zeros there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mpsearch.core.errors import BadInput
from mpsearch.packed.container import METADATA, PREFIX

NAME = "sha256"
BLANK = "0" * 64
_BEFORE = f'{{"{METADATA}":{{"{NAME}":"'.encode()
_START = PREFIX + len(_BEFORE)
_STOP = _START + len(BLANK)


def sealed(header: bytes, data: Iterable[bytes | memoryview]) -> bytes:
    """*header*, made with `BLANK` as the first piece of metadata, with the digest in its place."""
    return b"".join((header[:_START], _digest(header, data), header[_STOP:]))


def check_seal(header: bytes, data: Iterable[bytes | memoryview], where: str) -> None:
    """Check the digest.

    Raises:
        BadInput: there is none where it belongs, or a byte of the file was changed.
    """
    if header[PREFIX:_START] != _BEFORE:
        raise BadInput(f"{where} has no digest where mpsearch writes it: another program wrote it "
                       "or wrote it again; write it with mpsearch run --save")
    blank = header[:_START] + BLANK.encode() + header[_STOP:]
    if _digest(blank, data) != header[_START:_STOP]:
        raise BadInput(f"{where} is damaged: its bytes do not have the digest it states: write or "
                       "copy it again")


def _digest(header: bytes, data: Iterable[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256(header)
    for part in data:
        digest.update(part)
    return digest.hexdigest().encode()
