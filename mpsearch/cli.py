"""The command line: parse, call the api, print. No logic here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mpsearch import shell
from mpsearch.core.errors import MpsearchError
from mpsearch.core.io import require_writable
from mpsearch.core.version import version_of
from mpsearch.plugins import BUILTIN, listed
from mpsearch.steps.request import DEFAULT_ESTIMATOR, DEFAULT_MODEL, DEFAULT_SPACE
from mpsearch.workspace import DEFAULT

_INTERRUPTED = 130  # what typer makes of Ctrl-C
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                  rich_markup_mode=None, help=(
    "Find the best mixed-precision policy for a neural network within a budget, and run it."))

Model = Annotated[str | None, typer.Option(
    "--model", "-m", help="timm name, package.module:function or file.py:function; the embedded "
    f"digits model ({DEFAULT_MODEL}) if none is given.")]
Weights = Annotated[str | None, typer.Option(
    help="Weights of the model: .safetensors or .pth, read without running pickled code.")]
Data = Annotated[str | None, typer.Option(
    "--data", "-d", help="Image folder, CSV of file,label[,split], .npz, or "
    "package.module:function yielding batches.")]
Space = Annotated[str, typer.Option(help="Search space: a shipped name or a TOML file.")]
Estimator = Annotated[str, typer.Option(
    help=f"Sensitivity estimator: {', '.join(BUILTIN['estimator'])}.")]
Allocator = Annotated[str, typer.Option(help=f"Allocator: {', '.join(BUILTIN['allocator'])}.")]
Calibration = Annotated[int, typer.Option(
    "--calibration-samples", help="Samples that estimators and activation ranges see.")]
Evaluation = Annotated[int, typer.Option(
    "--evaluation-samples", help="Held-out samples that policies are measured on.")]
BatchSize = Annotated[int, typer.Option(help="Samples a batch.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Memory = Annotated[str, typer.Option(
    help="Activations that an estimator may hold at a time, as 2GiB.")]
Jobs = Annotated[int, typer.Option(
    "--jobs", "-j", help="Processes that score layers side by side; each loads the model.")]
Place = Annotated[Path, typer.Option("--workspace", help="Folder of measured products.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
PolicyFile = Annotated[Path, typer.Option("--policy", "-p", help="Policy file.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_of("mpsearch"))
        raise typer.Exit


@app.callback()
def _common(version: Annotated[bool, typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
            ) -> None:
    """Read the options that stand before a command."""


@app.command()
def measure(model: Model = None, weights: Weights = None, data: Data = None,
            space: Space = DEFAULT_SPACE,
            estimator: Annotated[list[str] | None, typer.Option(
                metavar="NAME,…", help=f"Sensitivity estimators ({', '.join(BUILTIN['estimator'])})"
                "; settings in parentheses, as gauss_newton(draws=4).")] = None,
            calibration_samples: Calibration = 128, batch_size: BatchSize = 32, seed: Seed = 0,
            memory: Memory = "2GiB", jobs: Jobs = 1,
            workspace: Place = Path(DEFAULT), as_json: Json = False) -> None:
    """Score every layer under every scheme.

    Estimators that can share a pass do. What the workspace holds already is not measured again.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    names = [each for text in estimator or [DEFAULT_ESTIMATOR] for each in listed(text)]
    with shell.workers(jobs):
        measured = api.measure(
            model or DEFAULT_MODEL, estimators=names, workspace=str(workspace), progress=bar,
            weights=weights, data=data, space=space, calibration_samples=calibration_samples,
            batch_size=batch_size, seed=seed, memory=shell.parse_bytes(memory))
    shell.notes(measured.record.notes)
    shell.answer(shell.measured_data(measured), as_json, shell.measured_tables(measured))


@app.command()
def allocate(budget: Annotated[list[str] | None, typer.Option(
                 "--budget", "-b", metavar="BUDGET",
                 help="4.5bpw, 3.2MiB, 5GBOPs; repeat for several.")] = None,
             tolerance: Annotated[str | None, typer.Option(
                 "--tolerance", "-t", metavar="LOSS", help="The smallest policy that loses no more "
                 "than this, measured: 0.01 or 1% of top-1, 0.05kl nats. Budgets still hold.")
             ] = None,
             minimise: Annotated[str, typer.Option(
                 help="What --tolerance makes small: size or bops.")] = "size",
             judge: Annotated[str, typer.Option(
                 help="Samples that decide on --tolerance: calibration or evaluation.")
             ] = "calibration",
             model: Model = None, weights: Weights = None, data: Data = None,
             space: Space = DEFAULT_SPACE, estimator: Estimator = DEFAULT_ESTIMATOR,
             allocator: Allocator = "ilp",
             objective: Annotated[str, typer.Option(
                 help="additive; interactions (scores that know them); or robust against the noise "
                 "of the scores.")] = "additive",
             verify: Annotated[bool, typer.Option(
                 "--verify/--no-verify", help="Run the policy and uniform ones of the same budget "
                 "on held-out data.")] = True,
             keep: Annotated[bool, typer.Option(
                 "--keep", help="Keep the allocated policy even if a uniform one measures "
                 "better.")] = False,
             calibration_policies: Annotated[int, typer.Option(
                 help="Policies run on calibration data, to say what KL a score stands for; 0 for "
                 "none.")] = 6,
             calibration_samples: Calibration = 128, evaluation_samples: Evaluation = 512,
             batch_size: BatchSize = 32, seed: Seed = 0, memory: Memory = "2GiB", jobs: Jobs = 1,
             workspace: Place = Path(DEFAULT), output: Output = Path("policy.json"),
             as_json: Json = False) -> None:
    """Pick one scheme a layer within a budget or tolerance.

    The policy and every uniform one of the same budget run on held-out data; the better one is
    written, with the predicted front and its picture.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    require_writable(output)
    with shell.workers(jobs):
        result = api.allocate(
            budget or [], model or DEFAULT_MODEL, tolerance=tolerance, minimise=minimise,
            judge=judge, estimator=estimator, allocator=allocator, objective=objective,
            verify=verify, keep=keep, calibration_policies=calibration_policies,
            workspace=str(workspace), progress=bar, weights=weights, data=data, space=space,
            calibration_samples=calibration_samples, evaluation_samples=evaluation_samples,
            batch_size=batch_size, seed=seed, memory=shell.parse_bytes(memory))
    shell.notes(result.allocation.measured.record.notes)
    files = shell.write_result(result, output)
    shell.answer(shell.result_data(result, files), as_json, shell.result_tables(result, files))


@app.command()
def pareto(model: Model = None, weights: Weights = None, data: Data = None,
           space: Space = DEFAULT_SPACE, estimator: Estimator = DEFAULT_ESTIMATOR,
           allocator: Allocator = "ilp",
           budget: Annotated[list[str] | None, typer.Option(
               "--budget", "-b", metavar="BUDGET", help="Bits per weight to measure (as "
               "4.5bpw); repeat. By default a handful between floor and ceiling.")] = None,
           points: Annotated[int, typer.Option(help="Budgets solved along the curve.")] = 25,
           measure_points: Annotated[bool, typer.Option(
               "--measure/--no-measure", help="Run a handful of policies and the uniform ones on "
               "held-out data.")] = True,
           picture: Annotated[bool | None, typer.Option(
               "--picture/--no-picture", help="Draw the front. By default it is drawn where "
               "policies were measured.")] = None,
           calibration_samples: Calibration = 128, evaluation_samples: Evaluation = 512,
           batch_size: BatchSize = 32, seed: Seed = 0, memory: Memory = "2GiB", jobs: Jobs = 1,
           workspace: Place = Path(DEFAULT), output: Output = Path("pareto.json"),
           as_json: Json = False) -> None:
    """Sweep the budget and draw the front.

    Loss against bits per weight: the predicted curve, a handful of measured policies, and the
    uniform ones.
    """
    from mpsearch import api
    from mpsearch.steps.progress import bar

    require_writable(output)
    with shell.workers(jobs):
        front = api.pareto(
            model or DEFAULT_MODEL, plan=api.FrontPlan.of(points, measure_points, budget or []),
            estimator=estimator, allocator=allocator, workspace=str(workspace), progress=bar,
            weights=weights, data=data, space=space, calibration_samples=calibration_samples,
            evaluation_samples=evaluation_samples, batch_size=batch_size, seed=seed,
            memory=shell.parse_bytes(memory))
    shell.notes(front.notes)
    drawn = bool(front.measured) if picture is None else picture
    files = shell.write_front(front, output, picture=drawn)
    shell.answer(shell.front_data(front, files), as_json, shell.front_tables(front, files))


@app.command()
def run(policy: PolicyFile, model: Annotated[str | None, typer.Option(
            "--model", "-m", help="The model; the policy's own if none is given.")] = None,
        weights: Weights = None, data: Data = None,
        backend: Annotated[str, typer.Option(
            help=f"Backend to run the policy on: {', '.join(BUILTIN['backend'])}.")] = "simulated",
        evaluation_samples: Annotated[int | None, typer.Option(
            help="Held-out samples; by default as many as the policy was measured on.")] = None,
        batch_size: Annotated[int | None, typer.Option(help="Samples a batch.")] = None,
        workspace: Place = Path(DEFAULT), as_json: Json = False) -> None:
    """Apply a policy to its model and evaluate it.

    Model, weights and data are those the policy was made with, where none are given.
    """
    from mpsearch import api
    from mpsearch.core.types import Policy
    from mpsearch.steps.progress import bar

    loaded = Policy.load(str(policy))
    evaluation = api.evaluate(
        loaded, model, backend=backend, workspace=str(workspace), progress=bar, weights=weights,
        data=data, evaluation_samples=evaluation_samples, batch_size=batch_size)
    shell.answer(shell.evaluation_data(loaded, evaluation, backend), as_json,
                 shell.evaluation_tables(loaded, evaluation))


@app.command()
def show(policy: Annotated[Path, typer.Argument(help="Policy file.")],
         against: Annotated[Path | None, typer.Option(
             help="Another policy: show the layers that differ.")] = None,
         why: Annotated[str | None, typer.Option(
             metavar="LAYER=SCHEME", help="What it would cost to pin this layer to this scheme, as "
             "head=W8.")] = None,
         workspace: Place = Path(DEFAULT), as_json: Json = False) -> None:
    """Show why each layer got its bits.

    Its share of the predicted loss, what the next bits would buy, which scheme came second, and
    what more of each budget would save.
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
def spaces(name: Annotated[str | None, typer.Argument(
               help="A shipped space or a TOML file to print.")] = None,
           quantizers: Annotated[bool, typer.Option(
               "--quantizers", help="List the number formats that a space may name.")] = False,
           as_json: Json = False) -> None:
    """List the search spaces, or print one."""
    data, tables = shell.quantizers(name) if quantizers else shell.spaces(name)
    shell.answer(data, as_json, tables)


def _run_app() -> None:
    try:
        app()
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            sys.stderr.write("\nmpsearch: interrupted; finished work is kept, the same command "
                             "goes on from there\n")
        raise


def main() -> None:
    """Run the command line: errors for people in one line, exit code 2."""
    try:
        _run_app()
    except MpsearchError as error:
        shell.fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has enough of it; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        shell.fail(f"the system refused{place}: {error.strerror or error}")
