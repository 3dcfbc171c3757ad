"""How far every quantizer is from the bound, at every rate it offers: results_distances.json.

    OMP_NUM_THREADS=1 python reports/palette/distances.py
    OMP_NUM_THREADS=1 python reports/palette/distances.py --kinds trellis --states 16 \\
        --samples gaussian --widths 2,3,4

Formats of weights meet Gaussian, Laplace and Student-t samples, formats of activations half-normal
and softmax-like ones, all seeded. A kind that is already in the results is not measured again unless
it is named; rows of other state bits are kept beside the new ones. Tables and pictures come from
report.py.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import torch

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import registry
from mpsearch.core.io import write
from mpsearch.quantizers.base import fake_quantize

HERE = Path(__file__).parent
RESULTS = HERE / "results_distances.json"
SHAPE = (512, 512)
FREEDOM = 5  # degrees of freedom of Student's t
LONGEST_CODE = 12


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", help="measure these again, separated by commas")
    parser.add_argument("--states", type=int, help="state bits of trellis formats")
    parser.add_argument("--samples", default=",".join(SAMPLES), help="these samples only")
    parser.add_argument("--widths", help="these widths only")
    args = parser.parse_args()
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"shape": SHAPE, "rows": []}
    again = set(args.kinds.split(",")) if args.kinds else set()
    done = {row["kind"] for row in document["rows"]}
    for kind in registry.kinds():
        if kind in done and kind not in again:
            continue
        rows = list(measured(kind, args))
        kept = [row for row in document["rows"] if row["kind"] != kind or (
            args.states and row.get("states") != args.states)]
        document["rows"] = kept + rows
        write(RESULTS, (json.dumps(document, indent=1) + "\n").encode())
        print(kind, len(rows), "rows", flush=True)


def measured(kind, args):
    """A row for every format of *kind* and every sample that it is meant for."""
    for operand, names in (("weight", ("gaussian", "laplace", "student")),
                           ("input", ("half-normal", "softmax"))):
        widths = {float(width) for width in args.widths.split(",")} if args.widths else None
        formats = [fmt for fmt in formats_of(kind, operand, args.states)
                   if widths is None or fmt.bits in widths]
        for name in [name for name in names if formats and name in args.samples.split(",")]:
            x = SAMPLES[name](torch.Generator().manual_seed(0))
            quantizer = plugins.load("quantizer", kind)()
            for fmt in formats:
                start = time.process_time()
                (params,) = quantizer.fit(x, [fmt], (-1,))
                y = fake_quantize(quantizer, x, params, fmt, (-1,))
                seconds = time.process_time() - start
                error = float((y.double() - x.double()).square().sum() / x.double().square().sum())
                yield {"kind": kind, "format": str(fmt), "key": fmt.key, "operand": operand,
                       "sample": name, "bits": fmt.bits, "rate": fmt.stored_bits(SHAPE) / math.prod(SHAPE),
                       "error": error, "seconds": seconds,
                       **({"states": fmt.states} if hasattr(fmt, "states") else {})}


def formats_of(kind, operand, states):
    """Every width of *kind* in its usual granularity with each of its settings."""
    cls = registry.format_class(kind)
    if operand not in cls.OPERANDS:
        return []
    hints, made = get_type_hints(cls), {}
    options = [{}]
    for each in fields(cls):
        if get_origin(hints[each.name]) is Literal and each.name != "kind":
            options = [{**row, each.name: value} for row in options
                       for value in get_args(hints[each.name])]
        if each.name == "symmetric":
            options = [{**row, "symmetric": value} for row in options for value in (True, False)]
    for width in cls.WIDTHS:
        for row in options:
            for granularity in (None, "group:64"):
                try:
                    fmt = format_of(cls, operand, {"bits": width, **row}, granularity)
                except BadInput:  # settings that do not go together
                    continue
                if states and hasattr(fmt, "states"):
                    fmt = replace(fmt, states=states)
                made[fmt.key] = fmt
    return [fmt for fmt in made.values() if told(fmt)]


def format_of(cls, operand, given, granularity):
    """The format with what is *given*: in its usual granularity, or in the one asked for."""
    if granularity is not None and operand == "weight" and given.get("blocks", "real") == "real":
        given = {**given, "granularity": granularity}
    return cls(**{**cls.usual(operand, given), **given})


def told(fmt):
    """Whether a format gets a row: vectors of 2, 4 and 8 with codes of up to 12 bits do."""
    return getattr(fmt, "dims", 2) in {2, 4, 8} and (
        not hasattr(fmt, "dims") or fmt.code_bits <= LONGEST_CODE)


def gaussian(generator):
    return torch.randn(SHAPE, generator=generator)


def laplace(generator):
    uniform = torch.rand(SHAPE, generator=generator, dtype=torch.float64) - 0.5
    return (-uniform.sign() * (1 - 2 * uniform.abs()).log()).float()


def student(generator):
    normal = torch.randn(SHAPE, generator=generator)
    squares = torch.randn((FREEDOM, *SHAPE), generator=generator).square().mean(0)
    return normal / squares.sqrt()


def half_normal(generator):
    return gaussian(generator).abs()


def softmax(generator):
    """Rows like attention's: scores of standard deviation 2 over 512 places."""
    return (2 * gaussian(generator)).softmax(-1)


SAMPLES = {"gaussian": gaussian, "laplace": laplace, "student": student,
           "half-normal": half_normal, "softmax": softmax}

if __name__ == "__main__":
    main()
