"""The command line: parse, call the api, print. No logic here."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import click

from mpsearch import shell
from mpsearch.core.errors import MpsearchError
from mpsearch.core.io import require_writable
from mpsearch.core.version import version_of
from mpsearch.plugins import BUILTIN, listed
from mpsearch.shell.options import (
    ALLOCATOR,
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
    MODEL_IS,
    PATH,
    SEED,
    SPACE,
    WEIGHTS,
    WORKSPACE,
    budgets,
    options,
    output,
)
from mpsearch.shell.searching import search, serve_storage
from mpsearch.shell.terminal import INTERRUPTED
from mpsearch.steps.request import (
    DEFAULT_ESTIMATOR,
    DEFAULT_MODEL,
    DEFAULT_POLICIES,
)


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(version_of("mpsearch"))
        context.exit()


@click.group(context_settings={"show_default": True}, no_args_is_help=True)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False,
              callback=_print_version, help="Print the version.")
def app() -> None:
    """Find the best mixed-precision policy for a neural network within a budget, and run it."""


@app.command()
@options(MODEL, WEIGHTS, DATA, SPACE, click.option(
    "--estimator", multiple=True, metavar="NAME,…", default=[DEFAULT_ESTIMATOR],
    help=f"Sensitivity estimators ({', '.join(BUILTIN['estimator'])}); settings in parentheses, "
    "as gauss_newton(draws=4)."), CALIBRATION, BATCH_SIZE, SEED, MEMORY, JOBS, WORKSPACE, JSON)
def measure(*, model: str | None, estimator: tuple[str, ...], jobs: int, as_json: bool,
            **asked: Any) -> None:
    """Score every layer under every scheme.

    Estimators that can share a pass do. What the workspace holds already is not measured again.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    names = [each for text in estimator for each in listed(text)]
    with shell.workers(jobs):
        measured = api.measure(model or DEFAULT_MODEL, estimators=names, progress=bar, **asked)
    shell.notes(measured.record.notes)
    shell.answer(shell.measured_data(measured), as_json, shell.measured_tables(measured))


@app.command()
@options(
    budgets("4.5bpw, 3.2MiB, 5GBOPs, 8ms, 3mJ, 2MiB-activations; repeat for several."),
    DEVICE,
    click.option("--tolerance", "-t", metavar="LOSS", help="The smallest policy that loses no "
                 "more than this, measured: 0.01 or 1% of top-1, 0.05kl nats. Budgets still hold."),
    click.option("--minimise", default="size",
                 help="What --tolerance makes small: size, bops, latency or energy."),
    click.option("--judge", default="calibration",
                 help="Samples that decide on --tolerance: calibration or evaluation."),
    MODEL, WEIGHTS, DATA, SPACE, ESTIMATOR, ALLOCATOR,
    click.option("--objective", default="additive", help="additive; interactions (scores that "
                 "know them); or robust against the noise of the scores."),
    click.option("--verify/--no-verify", default=True,
                 help="Run the policy and uniform ones of the same budget on held-out data."),
    click.option("--keep", is_flag=True,
                 help="Keep the allocated policy even if a uniform one measures better."),
    click.option("--calibration-policies", default=DEFAULT_POLICIES, help="Policies run on "
                 "calibration data, to say what KL a score stands for; 0 for none."),
    CALIBRATION, EVALUATION, BATCH_SIZE, SEED, MEMORY, JOBS, WORKSPACE, output("policy.json"),
    JSON)
def allocate(*, budget: tuple[str, ...], model: str | None, jobs: int, output: Path,
             as_json: bool, **asked: Any) -> None:
    """Pick one scheme a layer within a budget or tolerance.

    The policy and every uniform one of the same budget run on held-out data; the better one is
    written, with the predicted front and its picture.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    require_writable(output)
    with shell.workers(jobs):
        result = api.allocate(budget, model or DEFAULT_MODEL, progress=bar, **asked)
    shell.notes(result.allocation.measured.record.notes)
    files = shell.write_result(result, output)
    shell.answer(shell.result_data(result, files), as_json, shell.result_tables(result, files))


@app.command()
@options(
    MODEL, WEIGHTS, DATA, SPACE,
    click.option("--provider", default="simulated",
                 help=f"What runs the layers: {', '.join(BUILTIN['provider'])}."),
    click.option("--device", metavar="NAME", help="Name to keep the times under (host, or what an "
                 "imported file says); that of a shipped device, or a TOML file, shows what is "
                 "predicted for it."),
    click.option("--batch", "batches", type=int, multiple=True, default=[1],
                 help="Samples at once; repeat for several."),
    click.option("--threads", type=int, multiple=True, default=[1],
                 help="Threads; repeat for several."),
    click.option("--rounds", default=8, help="Rounds of short slices, of which the shortest "
                 "counts."),
    click.option("--again", is_flag=True, help="Time once more what was timed before, as on a busy "
                 "machine; the shorter times count."),
    click.option("--export", type=PATH, metavar="FILE.csv", help="Write the table as CSV."),
    click.option("--import", "imported", type=PATH, metavar="FILE.csv",
                 help="Read a table instead of timing anything."),
    CALIBRATION, BATCH_SIZE, SEED, WORKSPACE, JSON)
def profile(*, model: str | None, provider: str, device: str | None, batches: tuple[int, ...],
            threads: tuple[int, ...], rounds: int, again: bool, export: Path | None,
            imported: Path | None, as_json: bool, **asked: Any) -> None:
    """Time every layer under every scheme, for budgets in ms.

    The rest of the graph (norms, activation functions, data movement) is timed too. What this
    machine was timed on before is not timed again.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    if export is not None:
        require_writable(export)
    if imported is not None:
        table = api.import_device(str(imported), device, workspace=asked["workspace"])
        shell.answer(*shell.imported(table, export, as_json=as_json))
        return
    plan = api.ProfilePlan.of(provider, device, batches, threads, rounds, again=again)
    found = api.profile(model or DEFAULT_MODEL, plan=plan, progress=bar, **asked)
    shell.notes(found.record.notes)
    shell.answer(*shell.profiled(found, export, as_json=as_json))


@app.command()
@options(
    MODEL, WEIGHTS, DATA, SPACE, ESTIMATOR, ALLOCATOR,
    budgets("Bits per weight to measure (as 4.5bpw), or times with --over latency; repeat. By "
            "default a handful between floor and ceiling."),
    click.option("--over", default="size", help="What the budget is on: size or latency."), DEVICE,
    click.option("--points", default=25, help="Budgets solved along the curve."),
    click.option("--measure/--no-measure", "measured", default=True,
                 help="Run a handful of policies and the uniform ones on held-out data."),
    click.option("--picture/--no-picture", default=None,
                 help="Draw the front. By default it is drawn where policies were measured."),
    CALIBRATION, EVALUATION, BATCH_SIZE, SEED, MEMORY, JOBS, WORKSPACE, output("pareto.json"),
    JSON)
def pareto(*, budget: tuple[str, ...], over: str, model: str | None, points: int, measured: bool,
           picture: bool | None, jobs: int, output: Path, as_json: bool, **asked: Any) -> None:
    """Sweep the budget and draw the front.

    Loss against bits per weight: the predicted curve, a handful of measured policies, and the
    uniform ones.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    require_writable(output)
    with shell.workers(jobs):
        front = api.pareto(model or DEFAULT_MODEL, progress=bar,
                           plan=api.FrontPlan.of(points, measured, list(budget), over), **asked)
    shell.notes(front.notes)
    drawn = bool(front.measured) if picture is None else picture
    files = shell.write_front(front, output, picture=drawn)
    shell.answer(shell.front_data(front, files), as_json, shell.front_tables(front, files))


@app.command()
@options(
    click.option("--policy", "-p", type=PATH, help="Policy file."),
    click.option("--save", type=PATH, metavar="FILE", help="Write the model under the policy to "
                 "one .safetensors file as well."),
    click.option("--packed", type=PATH, metavar="FILE", help="Instead of --policy: a file that "
                 "--save wrote. No float weights are read; --model names the architecture."),
    click.option("--model", "-m", help=f"{MODEL_IS}policy's own."), WEIGHTS, DATA,
    click.option("--backend", default="simulated",
                 help=f"Backend to run the policy on: {', '.join(BUILTIN['backend'])}."),
    click.option("--evaluation-samples", type=int,
                 help="Held-out samples; by default as many as the policy was measured on."),
    click.option("--batch-size", type=int, help="Samples a batch."),
    click.option("--timing", type=float, default=2.0, metavar="SECONDS",
                 help="How long to time the policy beside the float model; 0 for not at all."),
    WORKSPACE, JSON)
def run(*, policy: Path | None, save: Path | None, packed: Path | None, model: str | None,
        backend: str, as_json: bool, **asked: Any) -> None:
    """Apply a policy to its model, evaluate and time it.

    Model, weights and data are those the policy was made with, where none are given. With --packed
    the policy and all numbers come from one file, and the data from --data.
    """
    from mpsearch import api
    from mpsearch.core.types import Policy
    from mpsearch.steps.progress import bar

    shell.require_one_source(policy, packed, save, asked["weights"])
    if packed is not None:
        del asked["weights"], asked["workspace"]
        found = api.run_packed(str(packed), model, backend=backend, progress=bar, **asked)
        shell.notes(found.notes)
        shell.answer(shell.packed_data(found, backend), as_json, shell.packed_tables(found))
        return
    loaded = Policy.load(str(policy))
    asked |= {"backend": backend, "progress": bar}
    if save is not None:
        done = api.evaluate_and_pack(loaded, str(save), model, **asked)
        shell.notes(shell.packing_notes(loaded, done))
        shell.answer(shell.packing_data(done, backend, save), as_json,
                     shell.packing_tables(done, save))
        return
    timed = api.evaluate_and_time(loaded, model, **asked)
    shell.answer(shell.timed_data(loaded, timed, backend), as_json,
                 shell.timed_tables(loaded, timed))


@app.command()
@click.argument("policy", type=PATH)
@options(
    click.option("--against", type=PATH, help="Another policy: show the layers that differ."),
    click.option("--why", metavar="LAYER=SCHEME",
                 help="What it would cost to pin this layer to this scheme, as head=W8."),
    WORKSPACE, JSON)
def show(*, policy: Path, against: Path | None, why: str | None, workspace: str,
         as_json: bool) -> None:
    """Show why each layer got its bits.

    Its share of the predicted loss, what the next bits would buy, which scheme came second, and
    what more of each budget would save. POLICY is a file that `allocate` wrote.
    """
    from mpsearch.core.types import Policy
    from mpsearch.workspace import Workspace

    here = Policy.load(str(policy))
    if against is not None:
        there = Policy.load(str(against))
        shell.answer(shell.diff_data(here, there), as_json,
                     shell.diff_tables(here, there, str(policy), str(against)))
        return
    place = Workspace(workspace)
    data, tables = shell.pinned(here, place, why) if why else shell.explained(here, place)
    shell.answer(data, as_json, tables)


@app.command()
@click.argument("name", required=False)
@click.option("--quantizers", is_flag=True,
              help="List the number formats that a space may name.")
@JSON
def spaces(*, name: str | None, quantizers: bool, as_json: bool) -> None:
    """List the search spaces, or print one.

    NAME is a shipped space or a TOML file.
    """
    data, tables = shell.quantizers(name) if quantizers else shell.spaces(name)
    shell.answer(data, as_json, tables)


app.add_command(search)
app.add_command(serve_storage)


def _run_app() -> NoReturn:
    try:
        sys.exit(app.main(prog_name="mpsearch", standalone_mode=False))
    except click.Abort:
        sys.stderr.write("\nmpsearch: interrupted; finished work is kept, the same command "
                         "goes on from there\n")
        sys.exit(INTERRUPTED)
    except click.ClickException as mistake:
        mistake.show()
        sys.exit(mistake.exit_code)


def _open_streams() -> None:
    """Streams that take whatever is written: a letter that a terminal lacks is a question mark."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the command
            nothing = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, nothing)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _drop_output() -> None:
    """Let go of what could not be written, or Python would try again at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line: errors for people in one line, exit code 2."""
    _open_streams()
    try:
        _run_app()
    except MpsearchError as error:
        shell.fail(str(error))
    except BrokenPipeError:  # whoever read the output has enough of it
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        place = f" {error.filename}" if error.filename else ""
        shell.fail(f"the system refused{place}: {error.strerror or error}")
