"""Triton's compiler takes the kernels for a GPU that is not here, and rounds where they say."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OWN = Path(__file__).parent


PRODUCTS = {90: "wgmma"}  # 80 with "mma.sync" passes too, and takes as long again


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compile_to_exact_instructions(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run([sys.executable, str(OWN / "compile_all.py"), *map(str, PRODUCTS)],
                          capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {(each["for"], each["kernel"], each["constants"].get("bits")): each["instructions"]
             for each in json.loads(done.stdout)}
    for instructions in found.values():
        # no product and sum in one rounding, no division that is only nearly right
        assert not any(one.startswith(("fma.", "div.full", "div.approx")) for one in instructions)
    for target, product in PRODUCTS.items():
        for key in (("linear_kernel", 7), ("batched_kernel", None)):
            assert any("s32" in one and "s8" in one for one in found[target, *key])
        assert any(product in one for one in found[target, "linear_kernel", 8])
        assert "div.rn.f32" in found[target, "quantize_codes", None]
        assert "div.rn.f64" in found[target, "quantize_scales", None]
