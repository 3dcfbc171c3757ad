"""Read the file: everything in it is checked before anything is made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Policy
from mpsearch.packed.checking import check_tensors
from mpsearch.packed.container import PREFIX, header_size, read_header
from mpsearch.packed.manifest import LAYOUT, Manifest, read_manifest
from mpsearch.packed.metadata import MANIFEST, POLICY, VERSION
from mpsearch.packed.seal import check_seal
from mpsearch.packed.types import tensor_of

_AGAIN = "write it with mpsearch run --save"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a packed file holds: the policy, what is stored how, and the tensors.

    *weights* has the tensors of each packed weight, named as `packed_tensors` names them; *others*
    what is stored as it is.
    """

    path: str
    policy: Policy
    manifest: Manifest
    weights: Mapping[str, Mapping[str, Tensor]]
    others: Mapping[str, Tensor]
    file_bytes: int
    header_bytes: int


def read_packed(path: str | os.PathLike[str]) -> Packed:
    """The packed file at *path*.

    Raises:
        BadInput: it is missing, damaged, not of this kind, of a later version, or its parts
            contradict each other.
    """
    where = str(path)
    header, data = _bytes(Path(path), where)
    entries, metadata = read_header(header, len(data), where)
    _check_version(metadata, where)
    check_seal(header, [memoryview(data)], where)
    manifest = read_manifest(metadata.get(MANIFEST, ""), where)
    policy = io.loads(metadata.get(POLICY, "").encode("utf-8", "replace"), Policy,
                      where=f"the policy in {where}")
    if policy.model.fingerprint != manifest.fingerprint:
        raise BadInput(f"the policy in {where} was made for another model (fingerprint "
                       f"{policy.model.fingerprint[:19]}) than the tensors "
                       f"({manifest.fingerprint[:19]}): {_AGAIN}")
    parts = check_tensors(entries, manifest, policy, where)
    tensors = {name: tensor_of(data, each) for name, each in entries.items()}
    weights = {name: {f"weight_{suffix}": tensors.pop(own) for suffix, own in each.items()}
               for name, each in parts.items()}
    return Packed(path=where, policy=policy, manifest=manifest, weights=weights, others=tensors,
                  file_bytes=len(header) + len(data), header_bytes=len(header))


def _bytes(path: Path, where: str) -> tuple[bytes, bytearray]:
    """Header and data; no more memory is taken than the file has bytes."""
    if not path.is_file():
        raise BadInput(f"cannot read {where}: there is no such file: check the path")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(PREFIX)
            header = start + file.read(header_size(start, size, where) - PREFIX)
            data = bytearray(size - len(header))
            read = file.readinto(data)
    except OSError as error:
        raise BadInput(f"cannot read {where}: {error.strerror or error}: check the path"
                       ) from error
    if read != len(data):
        raise BadInput(f"{where} was cut short while it was read: try again")
    return header, data


def _check_version(metadata: Mapping[str, str], where: str) -> None:
    stated = metadata.get(VERSION)
    if stated is None:
        raise BadInput(f"{where} is not a packed file: its header has no {VERSION}: {_AGAIN}")
    if not (stated.isascii() and stated.isdigit()) or int(stated[:9]) < 1:
        raise BadInput(f"{where} is damaged: it states the layout '{stated[:9]}'")
    if int(stated[:9]) > LAYOUT:
        raise BadInput(f"{where} has layout {stated[:9]}, this mpsearch reads up to {LAYOUT}: "
                       "upgrade mpsearch")
