"""Times commands that answer from saved tables: new processes, CPU and wall seconds.

    python reports/start_up/time_commands.py [--runs 10] [--folder F] TREE [TREE ...]

Each TREE is a checkout of this repository. In a folder of its own for each, everything is measured
once; then trees and commands take turns, so that other load falls on all of them alike. Two
processes that only start Python, and import numpy, are the floor.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VIT = """
import timm, torch

def model():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", pretrained=False)
"""
TINY = ["--model", "vit.py:model", "--estimator", "weight_error"]
COMMANDS = {
    "allocate": ["allocate", "-b", "4.5bpw"],
    "allocate --no-verify": ["allocate", "-b", "4.5bpw", "--no-verify"],
    "allocate --no-verify, two budgets": ["allocate", "-b", "4.5bpw", "-b", "0.4GBOPs",
                                          "--no-verify"],
    "pareto": ["pareto"],
    "pareto --no-measure": ["pareto", "--no-measure", "-o", "numbers.json"],
    "show": ["show", "policy.json"],
    "ViT-Tiny: allocate --no-verify": ["allocate", "-b", "4.5bpw", "--no-verify", "-o",
                                       "vit.json", *TINY],
    "ViT-Tiny: pareto --no-measure": ["pareto", "--no-measure", "-o", "vit.json", *TINY],
}
FLOORS = {"python -c pass": "pass", "python -c 'import numpy'": "import numpy"}


def run(folder, tree, command):
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1",
                   "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True,
                   capture_output=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp()),
                        help="where to measure; a second run in it goes on where the first stopped")
    parser.add_argument("--ready", action="store_true", help="that folder holds everything")
    parser.add_argument("trees", nargs="+", type=lambda name: Path(name).resolve())
    args = parser.parse_args()
    jobs = {}
    for number, tree in enumerate(args.trees):
        folder = args.folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vit.py").write_text(VIT)
        for name, code in FLOORS.items() if not number else ():
            jobs[name, ""] = folder, tree, ["-c", code]
        for name, arguments in COMMANDS.items():
            jobs[name, number] = folder, tree, [tree / "cli.py", *arguments]
            for _ in range(0 if args.ready else 2):  # measures, then fills the caches of bytecode and files
                run(*jobs[name, number])
    times = {job: [] for job in jobs}
    for _ in range(args.runs):
        for job in jobs:
            times[job].append(run(*jobs[job]))
    print("| command | tree | CPU, least | CPU, median | wall, least | wall, median |")
    print("|---|---|---:|---:|---:|---:|")
    for (name, tree), found in times.items():
        cells = [f"{each(column):.2f}" for column in zip(*found, strict=True)
                 for each in (min, statistics.median)]
        print(f"| {name} | {tree} | {' | '.join(cells)} |")
    print("load", *(f"{load:.1f}" for load in os.getloadavg()))


main()
