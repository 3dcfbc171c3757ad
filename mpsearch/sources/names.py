"""What the text of ``--model`` or ``--data`` names, found out without importing anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HUB_PREFIXES = ("hf-hub:", "hf_hub:")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionName:
    """The two halves of a function's name; *place* is a dotted module or the path of a file."""

    place: str
    function: str

    @classmethod
    def parse(cls, spec: str) -> FunctionName | None:
        """Read ``place:function``; None where *spec* is not of that form."""
        place, colon, function = spec.rpartition(":")
        return cls(place=place, function=function) if colon and function.isidentifier() else None

    @property
    def file(self) -> Path | None:
        """The file meant, or None for a dotted module."""
        return Path(self.place).expanduser() if self.place.endswith(".py") else None

    @property
    def folder(self) -> Path:
        """Where imports may be found besides the usual places."""
        return self.file.resolve().parent if self.file is not None else Path.cwd()


def is_timm_name(spec: str) -> bool:
    """Whether a model is to be looked up in timm; anything else names a function."""
    return spec.startswith(HUB_PREFIXES) or (":" not in spec and not spec.endswith(".py"))
