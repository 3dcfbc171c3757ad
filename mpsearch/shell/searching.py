"""The commands `search` and `serve-storage`: parse, call the api, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mpsearch.core.io import require_writable
from mpsearch.nas.places import PORT, shown
from mpsearch.shell.options import (
    BATCH_SIZE,
    CALIBRATION,
    DATA,
    DEVICE,
    ESTIMATOR,
    EVALUATION,
    JOBS,
    JSON,
    MEMORY,
    MODEL,
    SEED,
    SPACE,
    WEIGHTS,
    WORKSPACE,
    budgets,
    options,
    output,
)
from mpsearch.shell.searches import answer_front, answer_search, require_no_budget
from mpsearch.shell.terminal import INTERRUPTED, workers
from mpsearch.steps.request import DEFAULT_MODEL
from mpsearch.steps.search_plan import SAMPLERS, SearchPlan


@click.command()
@options(
    budgets("4.5bpw, 3.2MiB, 5GBOPs, 8ms, 3mJ, 2MiB-activations; repeat for several."), DEVICE,
    click.option("--front", is_flag=True, help="Search for a front instead of within a budget."),
    click.option("--objective", multiple=True, metavar="NAME", default=["loss", "size"],
                 help="Of a front: loss or accuracy, and size, bops or latency; repeat."),
    click.option("--trials", "-n", default=300, help="Trials in all, of all workers together."),
    click.option("--search-samples", "samples", default=256,
                 help="Samples that decide; none of those that scores are made of, if there are "
                 "enough."),
    click.option("--sampler", default="loop", help=f"What proposes: {', '.join(SAMPLERS)}. "
                 "All but loop are baselines."),
    click.option("--warm/--cold", default=True,
                 help="Begin with what the allocator chooses, or with uniform policies only."),
    click.option("--race/--no-race", default=True,
                 help="End a trial early where it is behind the best one beyond noise."),
    click.option("--storage", metavar="STORAGE", help="Where trials are kept: memory, "
                 "journal:PATH, sqlite:///PATH, a database's URL, or grpc://host:port. By default "
                 "a journal in the workspace. The same command run again joins in."),
    click.option("--study", metavar="NAME", help="Name of the study; by default one that says what "
                 "it is about."),
    click.option("--verify/--no-verify", default=True,
                 help="Compare with what the search began with on held-out data."),
    MODEL, WEIGHTS, DATA, SPACE, ESTIMATOR, CALIBRATION, EVALUATION, BATCH_SIZE, SEED, MEMORY, JOBS,
    WORKSPACE, output("policy.json"), JSON)
def search(*, budget: tuple[str, ...], objective: tuple[str, ...], front: bool, model: str | None,
           jobs: int, output: Path, as_json: bool, **asked: Any) -> None:
    """Search on the measured model for a better policy.

    Begins with the allocated policy and every uniform one within the budget, and proposes more
    through the allocator. An interrupted search goes on where it stopped.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    require_writable(output)
    plan = SearchPlan(**{name: asked.pop(name) for name in (
        "trials", "samples", "sampler", "race", "warm", "storage", "study")})
    model = model or DEFAULT_MODEL
    with workers(jobs):
        if front:
            require_no_budget(budget)
            points = api.search_front(objective, model, plan=plan, progress=bar, **asked)
            interrupted = answer_front(points, output, asked["workspace"], as_json=as_json)
        else:
            found = api.search(budget, model, plan=plan, progress=bar, **asked)
            interrupted = answer_search(found, output, asked["workspace"], as_json=as_json)
    if interrupted:
        sys.exit(INTERRUPTED)


@click.command()
@click.option("--storage", required=True, metavar="STORAGE",
              help="What is served: sqlite:///PATH, a database's URL, or journal:PATH.")
@click.option("--host", default="localhost", help="Address to listen at; 0.0.0.0 for all. Whoever "
              "reaches it may read and write.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, help="Port to listen at.")
def serve_storage(*, storage: str, host: str, port: int) -> None:
    """Serve a storage to workers elsewhere.

    They search with --storage grpc://HOST:PORT. Ends with Ctrl-C.
    """
    from mpsearch.nas.serving import serve

    serve(storage, host, port, started=lambda: click.echo(
        f"serving {shown(storage)} at grpc://{host}:{port}"))
