"""Profiles of devices: what they can do, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.cost.devices import is_predicted, shipped
from mpsearch.cost.energy import EnergyTable

_DIGITS = 9
"""Of the longest width that is read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Operations (a multiplication or an addition) a second, 1e9 of them, on so many threads.

    *bits* is the width of the widest operand that runs at this rate, None for float.
    """

    bits: int | None
    gops: float
    threads: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A level of memory that holds so many *bytes* (None: all) and reads 1e9 bytes a second."""

    name: str
    bytes: int | None
    gbytes: float
    threads: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A device as a roofline knows it; *float_bits* is the width of what stays in float."""

    name: str
    title: str
    float_bits: int
    overhead_us: float
    peaks: tuple[Rate, ...]
    memory: tuple[Level, ...]
    fusions: tuple[str, ...] = ()
    energy: EnergyTable | None = None

    def peak(self, bits: float | None, threads: int) -> float:
        """1e9 operations a second of operands that are *bits* wide; None is float.

        The narrowest width that holds them, else float.
        """
        own = [rate for rate in self.peaks if rate.threads == threads]
        fitting = [(rate.bits, rate.gops) for rate in own
                   if rate.bits is not None and bits is not None and bits <= rate.bits]
        return min(fitting)[1] if fitting else next(
            rate.gops for rate in own if rate.bits is None)

    def bandwidth(self, held: float, threads: int) -> float:
        """1e9 bytes a second from the fastest level that holds *held* bytes."""
        levels = [each for each in self.memory if each.threads == threads]
        return max(each.gbytes for each in levels if each.bytes is None or held <= each.bytes)

    def require_threads(self, threads: int) -> None:
        """Check that there are rates for so many *threads*.

        Raises:
            BadInput: there are none.
        """
        known = sorted({rate.threads for rate in self.peaks} & {m.threads for m in self.memory})
        if threads not in known:
            raise BadInput(f"the profile of '{self.name}' knows {' or '.join(map(str, known))} "
                           f"threads, not {threads}: choose one of these, or measure")


def load_profile(name: str) -> DeviceProfile:
    """The shipped device *name*, or that of a TOML file.

    Raises:
        UnknownName: neither is there.
        BadInput: the file is no profile; the message names it and the key.
    """
    path = shipped().get(name, Path(name))
    if not is_predicted(name):
        raise UnknownName("device", name, [*shipped(), "a TOML file"])
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read the device {path}: {error}") from error
    return _profile(data, path.stem, str(path))


def _profile(data: dict[str, Any], name: str, where: str) -> DeviceProfile:
    _keys(data, where, {"title", "float_bits", "fusions", "overhead", "peak", "memory", "energy"},
          {"title", "float_bits", "overhead", "peak", "memory"})
    overhead = _keys(data["overhead"], f"{where}: overhead", {"us", "source"}, {"us", "source"})
    made = DeviceProfile(
        name=name, title=str(data["title"]), fusions=tuple(map(str, data.get("fusions", ()))),
        float_bits=int(_positive(data, "float_bits", where)),
        overhead_us=_positive(overhead, "us", where),
        peaks=tuple(_rate(each, f"{where}: peak") for each in _entries(data, "peak", where)),
        memory=tuple(_level(each, f"{where}: memory") for each in _entries(data, "memory", where)),
        energy=_energy(data["energy"], name, where) if "energy" in data else None)
    for threads in {rate.threads for rate in made.peaks}:
        if not any(r.bits is None for r in made.peaks if r.threads == threads) or not any(
                m.bytes is None for m in made.memory if m.threads == threads):
            raise BadInput(f"{where}: {threads} threads need a peak with float = true and a memory "
                           "without bytes")
    return made


def _rate(data: dict[str, Any], where: str) -> Rate:
    _keys(data, where, {"bits", "float", "threads", "gops", "source"}, {"gops", "source"})
    if ("bits" in data) == bool(data.get("float")):
        raise BadInput(f"{where}: give either bits or float = true")
    return Rate(bits=int(_positive(data, "bits", where)) if "bits" in data else None,
                gops=_positive(data, "gops", where), source=str(data["source"]),
                threads=int(_positive({"threads": 1, **data}, "threads", where)))


def _level(data: dict[str, Any], where: str) -> Level:
    _keys(data, where, {"name", "bytes", "threads", "gbytes", "source"},
          {"name", "gbytes", "source"})
    return Level(name=str(data["name"]), gbytes=_positive(data, "gbytes", where),
                 bytes=int(_positive(data, "bytes", where)) if "bytes" in data else None,
                 threads=int(_positive({"threads": 1, **data}, "threads", where)),
                 source=str(data["source"]))


def _energy(data: dict[str, Any], name: str, where: str) -> EnergyTable:
    place = f"{where}: energy"
    known = {"source", "macs", "float_mac", "weight_byte", "activation_byte"}
    _keys(data, place, known, known)
    numbers = {key: _positive(data, key, place) for key in known - {"source", "macs"}}
    macs = data["macs"]
    if not isinstance(macs, dict) or not all(_is_width(key) for key in macs):
        raise BadInput(f"{place}: macs is a table of picojoules by whole numbers of bits")
    macs = {width: _positive(macs, width, place) for width in macs}
    return EnergyTable(name=name, source=str(data["source"]), macs=macs, **numbers)


def _is_width(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= _DIGITS


def _entries(data: dict[str, Any], key: str, where: str) -> list[Any]:
    found = data[key]
    if not isinstance(found, list) or not found:
        raise BadInput(f"{where}: there is no [[{key}]]")
    return found


def _keys(data: Any, where: str, known: set[str], needed: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadInput(f"{where}: this is no table of keys")
    for key in [*sorted(set(data) - known), *sorted(needed - set(data))]:
        raise BadInput(f"{where}: {'unknown key' if key in data else 'no key'} '{key}'")
    return data


def _positive(data: dict[str, Any], key: str, where: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e300:  # noqa: PLR2004
        raise BadInput(f"{where}: {key} is a positive number, not {value!r}")
    return float(value)
