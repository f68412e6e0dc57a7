# SPDX-License-Identifier: Apache-2.0
"""The command `tfx-guard`.

TensorFlow is imported only by the command that needs it, so that help and wrong
arguments are answered at once.
"""

import enum
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from components.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.outcome import Outcome

PROMOTED = 0
FAULT = 1
WRONG_USE = 2
BLOCKED = 3

app = typer.Typer(
    name="tfx-guard",
    help="Keeps classifiers that look good in training and fail in use out of "
    "production.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(str, enum.Enum):
    """How the verdict is printed: for people, programs, or CI systems."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


class AnswerFormat(str, enum.Enum):
    """How an answer that is no verdict is printed."""

    TABLE = "table"
    JSON = "json"


class Pixels(str, enum.Enum):
    """Range of the pixels that a model wants."""

    BYTES = "0..255"
    UNIT = "0..1"
    SIGNED = "-1..1"


@app.callback()
def _tfx_guard() -> None:
    """Keeps the commands by name, also while there is only one."""


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Option(help="Your guard.yaml; without it, a scenario runs.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="A ready-made problem, such as batchnorm-gap.")
    ] = None,
    mended: Annotated[
        bool, typer.Option("--mended", help="The cured variant of the scenario.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for results; by default runs/NAME.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print the verdict.")] = (
        Format.TABLE
    ),
) -> None:
    """Runs the guarded pipeline on this machine.

    Exit codes: 0 the model was promoted, 3 it was blocked, 2 wrong use, 1 a fault
    of tfx-guard.
    """
    _quiet()
    from pipeline import console as display
    from pipeline import coverage, outcome
    from pipeline.config import GuardConfig, load_config
    from pipeline.scenarios import catalogue

    guard_config: GuardConfig
    if config is not None:
        if scenario is not None or mended:
            raise InputError(
                "--config: expected a configuration or a scenario, but got both; leave "
                "--scenario and --mended out"
            )
        changes = {} if output is None else {"output": output.resolve()}
        guard_config = load_config(config, **changes)
    else:
        chosen = catalogue.find_scenario(scenario or catalogue.DEMO)
        suffix = "-mended" if mended else ""
        folder = (output or Path("runs", chosen.name + suffix)).resolve()
        _check_before_import(folder)
        guard_config = catalogue.make_config(chosen, folder, mended=mended)
    _check_before_import(guard_config.output)

    started = time.monotonic()
    console = _console(format)
    with console.status("starting TensorFlow Extended"):
        from pipeline import local_runner
    with display.StepDisplay(console) as steps:
        result = local_runner.run_pipeline(guard_config, steps.on_step)
    unseen = coverage.not_looked_for(guard_config, result.evaluation)
    seconds = time.monotonic() - started
    told = outcome.of_run(guard_config.name, result, unseen, seconds)
    outcome.save(told, guard_config.output)
    _tell(console, format, told)


@app.command()
def check(
    model: Annotated[Path, typer.Option(help="SavedModel folder or .keras file.")],
    train: Annotated[
        Path, typer.Option(help="Examples that the model was trained on.")
    ],
    eval: Annotated[Path, typer.Option(help="Examples that decide.")],
    label: Annotated[
        str | None,
        typer.Option(help="Name of the label; by default label.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A guard.yaml with limits of your own.")
    ] = None,
    keras: Annotated[
        Path | None,
        typer.Option(help="The .keras file of a SavedModel, for its training modes."),
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="Signature of a SavedModel to ask.")
    ] = None,
    pixels: Annotated[
        Pixels, typer.Option(help="Range of the pixels that the model wants.")
    ] = Pixels.BYTES,
    from_logits: Annotated[
        bool, typer.Option("--from-logits", help="The model answers logits.")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="The model in production, to compare with.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Batch size of its training; by default 32."),
    ] = None,
    slice: Annotated[
        list[str] | None,
        typer.Option(help="Feature by whose values to judge as well; repeatable."),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print the verdict.")] = (
        Format.TABLE
    ),
    junit: Annotated[
        Path | None, typer.Option(help="File for the verdict as JUnit XML.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="File for the report as an HTML page.")
    ] = None,
) -> None:
    """Judges a model that was trained elsewhere.

    Examples are a folder of pictures with one sub-folder per class, or files of type
    CSV, TFRecord, Parquet or .npz.

    Exit codes: 0 the model is good, 3 it is blocked, 2 wrong use, 1 a fault of
    tfx-guard.
    """
    _quiet()
    from pipeline import checking

    request = checking.CheckRequest(
        model=model,
        train=train,
        eval=eval,
        label=label,
        config=config,
        keras_model=keras,
        signature=signature,
        pixels=pixels.value,
        from_logits=from_logits or None,
        baseline=baseline,
        batch_size=batch_size,
        slices=tuple(slice or ()),
        report=report,
        junit=junit,
    )
    limits = checking.validate(request)
    console = _console(format)
    with console.status("checking") as status:
        told = checking.check(request, limits, status.update)
    _tell(console, format, told)


@app.command(name="report")
def show_report(
    run: Annotated[
        Path, typer.Argument(help="Output folder of a run, such as runs/digits.")
    ],
    format: Annotated[Format, typer.Option(help="How to print the verdict.")] = (
        Format.TABLE
    ),
) -> None:
    """Tells the verdict of a run again, and where its report is.

    Exit codes: 0 the model was promoted, 3 it was blocked, 2 there is no such run.
    """
    from pipeline import outcome

    told = outcome.load(run)
    # The folder may have been moved since.
    report = run.resolve() / outcome.REPORT_FILE
    if not report.is_file():
        raise InputError(
            f"{report}: expected the report of the run, but there is no such file; run "
            "the pipeline again"
        )
    _tell(_console(format), format, told.model_copy(update={"report": str(report)}))


@app.command()
def verify(
    version: Annotated[
        Path, typer.Argument(help="Folder of a pushed model, such as serving/17.")
    ],
    format: Annotated[
        AnswerFormat, typer.Option(help="How to print the answer.")
    ] = AnswerFormat.TABLE,
) -> None:
    """Tells whether a pushed model is the very one that was blessed.

    Exit codes: 0 it is, 3 its files were changed or it was withdrawn, 2 wrong use.
    """
    from components import registry

    problem = ""
    passport = None
    try:
        passport = registry.verify(version)
        if passport.withdrawn_at:
            problem = f"{version}: this model was withdrawn at {passport.withdrawn_at}"
    except registry.ModelChangedError as error:
        problem = str(error)
    if format is AnswerFormat.JSON:
        content = passport.model_dump(mode="json") if passport else None
        print(
            json.dumps(
                {"verified": not problem, "reason": problem, "passport": content},
                indent=2,
            )
        )
    elif passport is None or problem:
        print(f"NOT VERIFIED  {problem}")
    else:
        print(
            f"VERIFIED  {version}: the blessed model, SHA-256 {passport.model_sha256}"
        )
        print(f"  blessed {passport.blessed_at}, pushed {passport.pushed_at}")
        if passport.class_names:
            print(f"  classes {', '.join(passport.class_names)}")
    raise typer.Exit(BLOCKED if problem else PROMOTED)


@app.command()
def rollback(
    destination: Annotated[
        Path, typer.Argument(help="Folder that models are pushed to, such as serving/.")
    ],
    to: Annotated[
        int | None,
        typer.Option(help="Version to go back to; by default the last good one."),
    ] = None,
) -> None:
    """Withdraws the newest model and publishes an earlier one again.

    The earlier model becomes a new version, since servers take the largest. The
    withdrawn one stays on disk, and cannot be pushed again.

    Exit codes: 0 done, 2 there is nothing to go back to.
    """
    from components import registry

    withdrawn = registry.versions(destination)[-1:]
    restored = registry.rollback(destination, to)
    source = registry.verify(restored).restored_from
    print(
        f"ROLLED BACK  version {withdrawn[0]} was withdrawn; version {source} is "
        f"served again as {restored}"
    )


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    code = _run_app()
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's destructors print tracebacks when the interpreter ends in order
    # (AtomicFunction.__del__, TF 2.16): nothing is left to do that needs an order.
    os._exit(code)


def _run_app() -> int:
    try:
        app()
        return PROMOTED
    except SystemExit as end:  # How Typer ends, also after wrong arguments.
        return end.code if isinstance(end.code, int) else WRONG_USE
    except InputError as error:
        print(f"tfx-guard: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("tfx-guard: interrupted; nothing was pushed", file=sys.stderr)
        return FAULT
    except Exception as error:
        import traceback

        traceback.print_exc()
        print(
            f"tfx-guard: this is a fault of tfx-guard ({type(error).__name__}), not a "
            "verdict; nothing was pushed",
            file=sys.stderr,
        )
        return FAULT


def _console(format: Format) -> "Console":
    """Returns the screen for progress, and for the verdict if it is a table."""
    from rich.console import Console

    # Progress is for people: it must not mix with what machines read.
    console = Console(stderr=format is not Format.TABLE, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    return console


def _tell(console: "Console", format: Format, told: "Outcome") -> NoReturn:
    """Prints the outcome and ends with its exit code."""
    from pipeline import console as display
    from pipeline import outcome
    from pipeline.junit import as_junit

    if format is Format.JSON:
        print(outcome.as_json(told))
    elif format is Format.JUNIT:
        print(as_junit(told), end="")
    else:
        display.print_verdict(console, told)
    raise typer.Exit(PROMOTED if told.blessed else BLOCKED)


def _check_before_import(folder: Path) -> None:
    """Refuses an output folder before the seconds that importing TensorFlow takes."""
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(
            f"{folder}: expected a folder to write to, but {parent} is "
            f"{'not writable' if parent.is_dir() else 'a file'}; choose another with "
            "--output, or mend its permissions"
        )


def _quiet() -> None:
    """Lets users see our lines, not those of the libraries below."""
    # Read by TensorFlow's C++ core when it is loaded: 3 leaves fatal errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    # Beam gives the root logger a handler when it is imported.
    logging.getLogger().setLevel(logging.ERROR)
    for name in ("tensorflow", "apache_beam"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
