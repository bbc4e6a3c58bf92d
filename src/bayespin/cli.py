"""The command line: studies in, tables and pages out.

Heavy modules are imported inside the verbs, so that `--help` needs neither torch nor patience.
"""

import contextlib
import errno
import logging
import sys
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Bayesian neural networks on spintronic in-memory hardware, from physics to joules.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_DISK = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}

Out = Annotated[Path, typer.Option(help="Folder of run folders.")]
Force = Annotated[bool, typer.Option(help="Begin anew, even if the run is finished.")]
Set = Annotated[
    list[str] | None, typer.Option(help="Change a field: run.replicas=64 (repeatable).")
]


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study's name, or a TOML file.")],
    out: Out = Path("runs"),
    force: Force = False,
    set: Set = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the study's data files.")] = None,
) -> None:
    """Train, deploy, evaluate and price a study; write a run folder with a report."""
    from bayespin.study.regression.schema import is_regression

    changes = [*(set or ()), *_data_path(data)]
    content, where = _content(study, changes, "study")
    carry_out = _regress if is_regression(content) else _classify
    carry_out(content, where, out, force)


def _data_path(data: Path | None) -> list[str]:
    """Return the change of a field that a folder of data means, written as TOML."""
    import json

    return [] if data is None else [f"data.path={json.dumps(str(data))}"]


def _classify(content: dict[str, Any], where: str, out: Path, force: bool) -> None:
    """Carry out a study of images."""
    from bayespin.load import build
    from bayespin.report import page
    from bayespin.study.run import prepare, run_study
    from bayespin.study.schema import Study
    from bayespin.study.store import read_results
    from bayespin.study.watch import Watch

    chosen = build(Study, content, where)
    folder, _ = prepare(chosen, out)
    again = folder.finished and not force
    try:
        with _bars() as progress:
            watch = Watch(
                progress=progress,
                table=lambda found: _show(found, "first look: clean images"),
                workers=_cores(),
            )
            final = run_study(chosen, out, force=force, watch=watch, report=page.write)
    except KeyboardInterrupt:  # here, since typer would end without a word
        typer.echo(_interrupted(force, folder.finished), err=True)
        raise typer.Exit(130) from None
    _show(read_results(final), "finished earlier" if again else "")
    typer.echo(f"Report: {final / 'report.html'}")


def _regress(content: dict[str, Any], where: str, out: Path, force: bool) -> None:
    """Carry out a study of numbers."""
    from bayespin.load import build
    from bayespin.report.regression import page
    from bayespin.study.regression.run import prepare, run_regression
    from bayespin.study.regression.schema import RegressionStudy

    prepared = prepare(build(RegressionStudy, content, where), out)
    carry_out = partial(run_regression, prepared, force=force, report=page.write)
    _ensembles(carry_out, prepared.folder, force, page.table)


@app.command()
def simulate(
    simulation: Annotated[str, typer.Argument(help="A shipped simulation's name, or a TOML file.")],
    out: Out = Path("runs"),
    force: Force = False,
    set: Set = None,
) -> None:
    """Simulate an ensemble of macrospins, films or walls; write a run folder with a report."""
    from bayespin.report.simulation import page, table
    from bayespin.study.simulation import schema
    from bayespin.study.simulation.run import prepare, run_simulation

    changes = set if set is not None else []
    prepared = prepare(schema.read(*_content(simulation, changes, "simulation")), out)
    carry_out = partial(run_simulation, prepared, force=force, report=page.write)
    _ensembles(carry_out, prepared.folder, force, table.table)


@app.command()
def characterize(
    characterisation: Annotated[
        str, typer.Argument(help="A shipped characterisation's name, or a TOML file.")
    ],
    out: Out = Path("runs"),
    force: Force = False,
    set: Set = None,
) -> None:
    """Sweep a device through its settings; write its table with error bars and a report."""
    from bayespin.report.characterisation import page
    from bayespin.study.characterisation import schema
    from bayespin.study.characterisation.run import prepare, run_characterisation

    changes = set if set is not None else []
    prepared = prepare(schema.read(*_content(characterisation, changes, "characterisation")), out)
    carry_out = partial(run_characterisation, prepared, force=force, report=page.write)
    _ensembles(carry_out, prepared.folder, force, page.table)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A finished run's folder.")],
) -> None:
    """Draw report.html of a finished run of any kind again."""
    from bayespin.report import page
    from bayespin.report.characterisation import page as characterisation_page
    from bayespin.report.regression import page as regression_page
    from bayespin.report.simulation import page as simulation_page

    kind = page.read(folder).get("kind")
    own = {None: page.write, regression_page.KIND: regression_page.write}
    own |= dict.fromkeys(characterisation_page.KINDS, characterisation_page.write)
    write = own.get(kind, simulation_page.write)
    typer.echo(f"Report: {write(folder)}")


@app.command()
def studies() -> None:
    """List the studies, the simulations and the characterisations of the package."""
    from bayespin.load import read_resource, resource_names

    verbs = {"studies": "run", "simulations": "simulate", "characterisations": "characterize"}
    for kind, verb in verbs.items():
        for name in resource_names(kind):
            typer.echo(f"{verb:13s}{name:22s}{read_resource(kind, name)['title']}")


@app.command()
def devices() -> None:
    """List the presets: what their devices hold, and how far their numbers can be trusted."""
    from bayespin.report import gallery

    for line in gallery.lines():
        typer.echo(line)


@app.command()
def doctor() -> None:
    """Say what is installed, which device computes, and where data was found."""
    from bayespin.study.doctor import findings

    for name, finding in findings():
        typer.echo(f"{name:16s} {finding}")


def _ensembles(
    carry_out: Callable[..., Path], folder: Any, force: bool, table: Callable[[Any], Any]
) -> None:
    """Run what is prepared with bars of progress, and print its table."""
    from bayespin.study.store import read_results
    from bayespin.study.watch import Watch

    again = folder.finished and not force
    try:
        with _bars() as progress:
            final = carry_out(watch=Watch(progress=progress, workers=_cores()))
    except KeyboardInterrupt:  # here, since typer would end without a word
        typer.echo(_interrupted(force, folder.finished), err=True)
        raise typer.Exit(130) from None
    results = read_results(final)
    title = ", ".join(filter(None, (results["title"], "finished earlier" if again else "")))
    _print(table(results), title)
    typer.echo(f"Report: {final / 'report.html'}")


def _interrupted(force: bool, finished: bool) -> str:
    if not force:
        return "Interrupted; the same command resumes where this one stopped."
    if not finished:
        return "Interrupted; the same command without --force resumes where this one stopped."
    return "Interrupted; the results from before stand, and --force begins anew."


def _content(name: str, changes: list[str], kind: str) -> tuple[dict[str, Any], str]:
    """Return what a shipped file or a path holds, with changes applied, and what to call it."""
    from bayespin.load import InputError, read_resource, read_toml

    if name.endswith(".toml") or "/" in name:
        content, where = read_toml(Path(name)), name
    else:
        folder = "studies" if kind == "study" else f"{kind}s"
        content, where = read_resource(folder, name), f"{kind} {name}"
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals or not all(part.strip() for part in path.split(".")):
            raise InputError(f"Option `--set` must be FIELD=VALUE, but is {change!r}.")
        _assign(content, [part.strip() for part in path.split(".")], value.strip())
    return content, where


def _assign(content: dict[str, Any], path: list[str], text: str) -> None:
    """Put a TOML value, or else a bare string, at a dotted path."""
    import tomllib

    from bayespin.load import InputError

    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in path[:-1]:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise InputError(f"Option `--set` must name a field, but `{'.'.join(path)}` is none.")
    content[path[-1]] = value


def _show(results: dict[str, Any], remark: str) -> None:
    """Print the results table of a study."""
    from bayespin.report.table import table

    stamp = "QUICK: a first look, small statistics" if results["quick"] else ""
    _print(table(results), ", ".join(part for part in (results["title"], stamp, remark) if part))


def _print(found: Any, title: str) -> None:
    """Print a table, at most as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    grid = RichTable(title=title, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for index, name in enumerate(found.header):
        grid.add_column(name, justify="left" if index == 0 else "right")
    for row in found.rows:
        grid.add_row(*row)
    console.print(grid)
    for note in found.notes:
        console.print(note, style="dim")


def _cores() -> int:
    """Return the number of cores that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextlib.contextmanager
def _bars() -> Generator[Any]:
    """Yield a progress callback that draws bars with time left; silent when not a terminal."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for earlier in tasks.values():
                    bars.remove_task(earlier)
                tasks.clear()
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield advance


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app()
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        typer.echo(f"bayespin: {sentence}", err=True)
        raise SystemExit(2) from None


def _sentence(error: Exception) -> str | None:
    """Return what to tell the user, or nothing for a fault that is not the user's."""
    from bayespin.load import InputError  # here, so that `--help` does not pay for it

    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f"File `{error.filename}`" if error.filename is not None else "The run folder"
        return (
            f"{where} must be writable, but is not ({error.strerror}); free some space or mend "
            f"its permissions, and the same command resumes where this one stopped."
        )
    return None
