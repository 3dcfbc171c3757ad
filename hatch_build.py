"""Build hook: compiles the integer kernels into the wheel where there is a compiler.

Without one the package is complete all the same: kernels are compiled on first use, or torch
computes instead.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

ROOM = Path("mpsearch") / "kernels"


class CompileKernels(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to a wheel; an editable install finds it among those it built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together; say so in a line if that did not work."""
        if self.target_name != "wheel" or version == "editable":
            return
        build = _load_build(Path(self.root) / ROOM / "build.py")
        units = build.units_for(everywhere=True)
        try:
            library = build.built(build.cache_folder(), units)
        except (build.BuildFailed, OSError) as problem:
            self.app.display_warning(f"integer kernels are left to be compiled later: {problem}")
            return
        inside = ROOM / build.library_name(units)
        build_data["force_include"][str(library)] = inside.as_posix()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(platform_tags())}"


def _load_build(path: Path) -> ModuleType:
    """The room's own list of files and flags, without importing the package and torch."""
    spec = importlib.util.spec_from_file_location("mpsearch_kernels_build", path)
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
