"""Kinds of formats by name, and formats from plain data."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mpsearch.core.entries import announced, imported
from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.core.formats.base import Format

if TYPE_CHECKING:
    from pydantic import TypeAdapter

BUILTIN: dict[str, str] = {
    "int": "mpsearch.core.formats.integer:IntFormat",
    "float": "mpsearch.core.formats.floating:FloatFormat",
    "normal_float": "mpsearch.core.formats.normal_float:NormalFloatFormat",
    "lloyd": "mpsearch.core.formats.lloyd:LloydFormat",
    "vector": "mpsearch.core.formats.codewords:VectorFormat",
    "product": "mpsearch.core.formats.codewords:ProductFormat",
    "trellis": "mpsearch.core.formats.trellis:TrellisFormat",
    "twin_log": "mpsearch.core.formats.twin_log:TwinLogFormat",
    "outlier_split": "mpsearch.core.formats.split:OutlierSplitFormat",
    "sparse24": "mpsearch.core.formats.sparse:Sparse24Format",
    "log2": "mpsearch.core.formats.levels:Log2Format",
    "log_sqrt2": "mpsearch.core.formats.levels:LogSqrt2Format",
    "sulq": "mpsearch.core.formats.levels:SulqFormat",
    "adalog": "mpsearch.core.formats.levels:AdaLogFormat",
    "tan": "mpsearch.core.formats.levels:TanFormat",
    "two_region": "mpsearch.core.formats.levels:TwoRegionFormat",
    "outlier_inputs": "mpsearch.core.formats.split:OutlierInputsFormat",
}


def kinds() -> list[str]:
    """Every kind of format there is."""
    return [*BUILTIN, *sorted(set(announced("format")) - set(BUILTIN))]


@cache
def format_class(kind: str) -> type[Format]:
    """The class of the formats of this *kind*.

    Raises:
        UnknownName: there is no such kind.
    """
    place = BUILTIN.get(kind) or announced("format").get(kind)
    if place is None:
        raise UnknownName("format", kind, kinds())
    found: type[Format] = imported(place)
    return found


@cache
def adapter(kind: str) -> TypeAdapter[Format]:
    """What reads, writes and describes formats of this *kind*."""
    from pydantic import TypeAdapter  # late: it is not needed to read what is as it should be

    return TypeAdapter(format_class(kind))


def read(data: Any) -> Format:
    """The format that *data*, a dictionary with its kind and settings, describes.

    Raises:
        BadInput: the kind is unknown, or a setting is out of its range.
        pydantic.ValidationError: a setting is missing, unknown or of another type.
    """
    if isinstance(data, Format):
        return data
    kind = data.get("kind", "int") if isinstance(data, dict) else "int"
    return adapter(str(kind)).validate_python(data, extra="forbid")


def read_field(data: Any) -> Format:
    """What `read` returns; where it would raise, an error that names the field it stands in."""
    from pydantic_core import PydanticCustomError

    try:
        return read(data)
    except BadInput as error:
        raise PydanticCustomError("format", "{reason}", {"reason": str(error)}) from error


def write(fmt: Format) -> Any:
    """The plain data that `read` makes *fmt* of."""
    return adapter(fmt.kind).dump_python(fmt, mode="json")


def schema() -> dict[str, Any]:
    """The JSON Schema of a format: one of the kinds that come with the package, or an added one."""
    known = [adapter(kind).json_schema() for kind in BUILTIN]
    added = {"type": "object", "required": ["kind"], "title": "A format that a plug-in adds",
             "properties": {"kind": {"type": "string", "not": {"enum": list(BUILTIN)}}}}
    closed = [{**each, "additionalProperties": False, "required": ["kind", *each["required"]]}
              for each in known]
    return {"title": "Format", "anyOf": [*closed, added]}
