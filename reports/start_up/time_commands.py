"""Times commands that answer from saved tables: new processes, medians of CPU and wall seconds.

    python reports/start_up/time_commands.py TREE [TREE ...]

Each TREE is a checkout of this repository. The embedded model is measured once, into a folder of
its own for each tree, then the trees take turns, so that other load falls on all of them alike.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEW = ["--calibration-samples", "32", "--evaluation-samples", "96", "--batch-size", "32"]
COMMANDS = {
    "allocate, one budget": ["allocate", "-b", "4.5bpw", "--no-verify", "--json", *FEW],
    "allocate, two budgets": ["allocate", "-b", "4.5bpw", "-b", "0.4GBOPs", "--no-verify", "--json",
                              *FEW],
    "pareto": ["pareto", "--no-measure", "--json", *FEW],
    "show": ["show", "policy.json", "--json"],
}
RUNS = 9


def run(tree, folder, arguments):
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1",
                   "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, tree / "cli.py", *arguments], cwd=folder, env=environment,
                   check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start


def main():
    trees = [Path(name).resolve() for name in sys.argv[1:]]
    folders = [Path(tempfile.mkdtemp()) for _ in trees]
    for tree, folder in zip(trees, folders, strict=True):
        run(tree, folder, ["allocate", "-b", "4.5bpw", *FEW])
        for arguments in COMMANDS.values():
            run(tree, folder, arguments)  # bytecode and disk caches
        run(tree, folder, COMMANDS["allocate, one budget"])  # the policy that is shown
    print("| command | tree | CPU, median | CPU, least | wall, median |\n|---|---|---:|---:|---:|")
    for name, arguments in COMMANDS.items():
        times = {tree: [] for tree in trees}
        for _ in range(RUNS):
            for tree, folder in zip(trees, folders, strict=True):
                times[tree].append(run(tree, folder, arguments))
        for number, tree in enumerate(trees):
            cpu, wall = zip(*times[tree], strict=True)
            print(f"| {name} | {number} | {statistics.median(cpu):.2f} | {min(cpu):.2f} | "
                  f"{statistics.median(wall):.2f} |", flush=True)


main()
