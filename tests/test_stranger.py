"""A quantizer of another author's package, which nothing here knows of, goes all the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PACKAGE = '''
"""Fixed-point numbers: whole steps, as many above 0 as below; a power of two as step."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.scales import power_of_two
from mpsearch.quantizers.slices import Slices, check_finite


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint(Format):
    """Whole multiples of a power of two."""

    OPERANDS: ClassVar = ("weight", "input", "other")
    SUMMARY: ClassVar = "whole multiples of a power of two"
    SOURCE: ClassVar = "a stranger"
    WIDTHS: ClassVar = (3, 4)
    GRANULARITIES: ClassVar = ("tensor", "channel")
    ACTIVATION_GRANULARITIES: ClassVar = ("tensor",)

    kind: Literal["stranger"] = "stranger"
    bits: int
    headroom: Literal[0, 1] = 0

    @property
    def scale_storage(self):
        return "exponent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boastful(FixedPoint):
    """It says that it weighs nothing."""

    kind: Literal["boastful"] = "boastful"

    def stored_bits(self, shape):
        return 0


@dataclass(frozen=True)
class Rounding:
    """Nearest multiple."""

    def fit(self, x, formats, axes=None):
        return [self._fit(Slices.of(x, layout_of(x.shape, fmt, axes)), fmt) for fmt in formats]

    def _fit(self, slices, fmt):
        reach = torch.maximum(-slices.low, slices.high) / (2 ** (fmt.bits - 1) - 1)
        exponent = torch.frexp(reach).exponent.clamp(-126, 126).long() + fmt.headroom
        scale = power_of_two(exponent).float()
        return Params(scale=scale, zero_point=torch.zeros_like(scale, dtype=torch.int32))

    def encode(self, x, params, fmt, axes=None):
        layout = layout_of(x.shape, fmt, axes)
        if layout.slices != len(params.scale):
            raise BadInput(f"{len(params.scale)} scales for {x.shape}, that needs {layout.slices}")
        rows = layout.to_slices(x.detach()).float()
        check_finite(rows.amin(), rows.amax())
        half = 2 ** (fmt.bits - 1)
        steps = (rows / params.scale).round().clamp(1 - half, half - 1) + half
        return layout.from_slices(steps.int()).contiguous()

    def decode(self, codes, params, fmt, axes=None, *, dtype=torch.float32, shape=None):
        layout = layout_of(codes.shape, fmt, axes)
        steps = layout.to_slices(codes) - 2 ** (fmt.bits - 1)
        return layout.from_slices((steps * params.scale).to(dtype)).contiguous()
'''
SPACE = """
[[rule]]
layer = "blocks.0.*"
weight = [{ kind = "stranger", bits = [3, 4], headroom = 0 }, { bits = 8 }]
input = { kind = "stranger", bits = 4 }
"""
ENTRIES = """
[mpsearch.format]
stranger = stranger:FixedPoint
boastful = stranger:Boastful

[mpsearch.quantizer]
stranger = stranger:Rounding
boastful = stranger:Rounding
"""
FEW = ("--calibration-samples", "16", "--evaluation-samples", "32", "--batch-size", "16")


@pytest.fixture
def python(tmp_path, root):
    """Runs Python where the stranger's package is installed."""
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "stranger.py").write_text(PACKAGE)
    paths = [str(tmp_path), str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}

    def run(*arguments, cwd=tmp_path):
        return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment,
                              capture_output=True, text=True, check=False)

    return run


ALL_COMMANDS = """
import json
import sys
from mpsearch.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["mpsearch", *command, "--json"]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, command
"""


def test_the_command_line_lists_it_allocates_with_it_and_runs_what_it_made(python, tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    commands = [
        ("spaces", "--quantizers"),
        ("allocate", "--budget", "27.6bpw", "--space", "space.toml", "--estimator", "fisher",
         "--calibration-policies", "0", "--keep", *FEW),
        ("run", "--policy", "policy.json")]
    done = python("-c", ALL_COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stdout + done.stderr
    listed, _, measured = map(json.loads, done.stdout.splitlines())
    assert listed["stranger"]["summary"] == "whole multiples of a power of two"
    assert listed["stranger"]["settings"] == {"headroom": {"default": 0, "values": [0, 1]}}
    policy = json.loads((tmp_path / "policy.json").read_text())
    for operand in ("weight", "input"):
        taken = [scheme[operand]["kind"] for scheme in policy["layers"].values()
                 if scheme[operand]]
        assert taken.count("stranger") >= 2, operand
    assert measured["kl"] == policy["evaluation"]["kl"]


def test_the_contract_holds_it_too_and_finds_out_what_boasts_of_its_size(python, root):
    done = python("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider",
                  "tests/contracts/test_quantizers.py", "-k",
                  "stranger or every_kind or boastful and comes_back", cwd=root)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert failed, done.stdout + done.stderr
    assert all("kind=boastful" in line and "comes_back" in line for line in failed), done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 100
