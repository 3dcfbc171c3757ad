"""This machine: its processor's name, its caches, and what it reaches."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "": 1}
_USUAL = 32 << 20


def cpu_name() -> str:
    """The processor with its family and model, and how many cores there are."""
    known: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            known.setdefault(key.strip(), value.strip())
    except OSError:
        known = {}
    name = known.get("model name") or platform.processor() or platform.machine()
    detail = [f"{key} {known[field]}" for key, field in (("family", "cpu family"),
                                                         ("model", "model")) if field in known]
    return f"{name} ({', '.join([*detail, f'{os.cpu_count()} cores'])})"


def largest_cache() -> int:
    """Bytes of the largest cache, 32 MiB where the system does not say."""
    found = [_USUAL] if not _CACHES.is_dir() else []
    for path in _CACHES.glob("index*/size"):
        match = re.fullmatch(r"(\d+)([KM]?)", path.read_text(encoding="utf-8").strip())
        found += [int(match[1]) * _UNITS[match[2]]] if match else []
    return max(found, default=_USUAL)
