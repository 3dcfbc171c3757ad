"""Devices that times are predicted for: one TOML file each, every number with its source."""

from __future__ import annotations

from pathlib import Path


def shipped() -> dict[str, Path]:
    """The file of every shipped device, by name, sorted."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}


def is_predicted(name: str) -> bool:
    """Whether *name* is that of a shipped device, or of a TOML file that describes one."""
    return name in shipped() or Path(name).suffix == ".toml"
