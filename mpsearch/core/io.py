"""The one JSON door: every product is read, checked and written here."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mpsearch.core import plain
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import registry
from mpsearch.core.formats.base import ANY_FORMAT
from mpsearch.core.types import POLICY_VERSION, Policy

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
SCHEMA_NAME = "policy-1.schema.json"
"""The policy's JSON Schema, which stands beside this file and is named by ``$schema``."""


@cache
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # late: importing it takes as long as a whole answer

    return TypeAdapter(kind)


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _cached_adapter(kind)  # a class is hashable, which type checkers do not know


def dumps(value: Any, *, compact: bool = False) -> bytes:
    """JSON bytes of a product; the same value always gives the same bytes.

    Raises:
        BadInput: a number is infinite or not a number, which JSON cannot hold.
    """
    data = to_data(value)
    indent, separators = (None, (",", ":")) if compact else (2, None)
    try:
        text = json.dumps(data, indent=indent, separators=separators, ensure_ascii=False,
                          allow_nan=False)
    except ValueError as error:
        raise BadInput(f"cannot store a {type(value).__name__}: it has a value that is not finite"
                       ) from error
    return text.encode() + b"\n"


def to_data(value: Any) -> Any:
    """A product as plain dictionaries, lists and numbers."""
    try:
        data = plain.written(value)
    except plain.Unfit:
        data = _adapter(type(value)).dump_python(value, mode="json")
    return {"$schema": SCHEMA_NAME, **data} if isinstance(value, Policy) else data


def loads(text: bytes, kind: type[T], *, where: str) -> T:
    """Read a product of type *kind* from JSON bytes; *where* names the source in errors.

    Raises:
        BadInput: truncated or invalid JSON, a later version, or a field that does not fit.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if kind is Policy and _is_safetensors(text):
            raise BadInput(f"{where} is no policy but a packed model, or other tensors: run a "
                           f"packed model with mpsearch run --packed {where}") from error
        raise BadInput(f"{where} is not complete JSON ({error}): write it anew") from error
    if kind is Policy:
        data = _check_policy(data, where)
    asked: Any = kind
    try:
        return plain.reader(asked)(data)  # type: ignore[no-any-return]
    except (plain.Unfit, BadInput):
        return _checked(data, kind, where)


def _checked(data: Any, kind: type[T], where: str) -> T:
    """What is not plainly a product: read leniently, or refused with what is wrong and where."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(data, strict=False, extra="forbid")  # type: ignore[no-any-return]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top level"
        message = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where} is not a valid {kind.__name__}: {place}: {message}") from error
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def load(path: str | os.PathLike[str], kind: type[T]) -> T:
    """Read the product of type *kind* stored at *path*; raises what `loads` raises."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}: check the path"
                       ) from error
    return loads(text, kind, where=str(path))


def save(path: str | os.PathLike[str], value: Any, *, compact: bool = False) -> None:
    """Write a product to *path* as JSON, whole or not at all; raises what `write` raises."""
    write(path, dumps(value, compact=compact))


def write(path: str | os.PathLike[str], *content: bytes | memoryview) -> None:
    """Write all *content* to a temporary file beside *path*, then rename it into place.

    Raises:
        BadInput: no permission, no such folder, or no room on the disk.
    """
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(target, error) from error
        raise


def require_writable(path: str | os.PathLike[str]) -> None:
    """Try whether *path* can be written, before the work whose result goes there.

    Raises:
        BadInput: what `write` would raise.
    """
    target = Path(path)
    if target.is_dir():
        raise BadInput(f"cannot write {target}: it is a folder: name a file in it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}."):
            pass
    except OSError as error:
        raise cannot_write(target, error) from error


def require_apart(path: str | os.PathLike[str], *read: str | os.PathLike[str] | None) -> None:
    """Check that writing *path* would not replace a file that is *read*.

    Raises:
        BadInput: it is one of them.
    """
    for each in read:
        if each is not None and Path(each).is_file() and Path(path).exists() and (
                Path(path).samefile(each)):
            raise BadInput(f"cannot write {path}: it is read here, and would be lost: name another "
                           "file")


def cannot_write(path: Path, error: OSError) -> BadInput:
    """The message for a place that cannot be written, and what to do about it."""
    advice = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (
        "choose a place you may write to")
    return BadInput(f"cannot write {path}: {error.strerror or error}: {advice}")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy file."""
    body = _referring(_adapter(Policy).json_schema())
    body["$defs"]["Format"] = registry.schema()
    version = {"const": POLICY_VERSION, "title": "Version", "type": "integer"}
    body["properties"] = {"$schema": {"type": "string"}, **body["properties"], "version": version}
    body["required"] = ["version", *body["required"]]
    for name, part in body["$defs"].items():
        if name != "Format":
            part["additionalProperties"] = False
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_NAME,
            "title": "mpsearch policy"}
    return {**head, **{key: part for key, part in body.items() if key != "title"},
            "additionalProperties": False}


def _referring(part: Any) -> Any:
    """A schema with references where any format may stand."""
    if part == ANY_FORMAT:
        return {"$ref": "#/$defs/Format"}
    if isinstance(part, dict):
        return {key: _referring(value) for key, value in part.items()}
    return [_referring(each) for each in part] if isinstance(part, list) else part


def _check_policy(data: Any, where: str) -> dict[str, Any]:
    version = data.get("version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version < 1 or "layers" not in data:
        raise BadInput(f"{where} is not a policy file: it has no version and layers")
    if version > POLICY_VERSION:
        raise BadInput(f"{where} is policy version {version}, this mpsearch reads up to "
                       f"{POLICY_VERSION}: upgrade mpsearch")
    return {key: value for key, value in data.items() if key != "$schema"}


def _is_safetensors(text: bytes) -> bool:
    """Whether this begins as such files do: with the length of a header that is JSON."""
    return text[8:9] == b"{" and int.from_bytes(text[:8], "little") < len(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


__all__ = ["SCHEMA_NAME", "cannot_write", "dumps", "load", "loads", "require_apart",
           "require_writable", "save", "schema", "to_data", "write"]
