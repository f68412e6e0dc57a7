# SPDX-License-Identifier: Apache-2.0
"""The command `check`: judges a model that was trained elsewhere, from files.

What is wrong with the arguments is said before TensorFlow is imported, which takes
seconds.
"""

import dataclasses
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from pipeline import coverage, outcome
from pipeline.config import GuardConfig, parse_config, read_yaml
from pipeline.outcome import Outcome

if TYPE_CHECKING:
    from components.judging.check import Pixels
    from components.judging.judgement import Judgement

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
_OLD_KERAS = (".h5", ".hdf5", ".weights.h5")
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What a check was asked for, as the command line gives it.

    Attributes:
      model: SavedModel folder or `.keras` file.
      train: File or folder with the examples that the model was trained on.
      eval: File or folder with the examples that decide.
      label: Name of the label; None for what the configuration says.
      config: `guard.yaml`, of which the limits and the data section count.
      keras_model: `.keras` file of the same model, for its training modes.
      signature: Signature of a SavedModel; None for the usual one.
      pixels: Range that the model wants pixels in.
      from_logits: Whether the model answers logits; None to find out.
      baseline: The model in production to compare with, as `model`.
      batch_size: Batch size of training; None for what the model tells, or 32.
      slices: Features by whose values the examples are judged one by one.
      report: Where to write the HTML report; None for nowhere.
      junit: Where to write the JUnit file; None for nowhere.
    """

    model: Path
    train: Path
    eval: Path
    label: str | None = None
    config: Path | None = None
    keras_model: Path | None = None
    signature: str | None = None
    pixels: "Pixels" = "0..255"
    from_logits: bool | None = None
    baseline: Path | None = None
    batch_size: int | None = None
    slices: tuple[str, ...] = ()
    report: Path | None = None
    junit: Path | None = None


def validate(request: CheckRequest) -> GuardConfig:
    """Refuses what cannot be judged, and returns the limits to judge by.

    Raises:
      InputError: If a path is missing, is not what it should be, or contradicts
        another one; or if the configuration is not valid.
    """
    _check_model(request)
    for option, path in (("--train", request.train), ("--eval", request.eval)):
        _check_data(option, path)
    if os.path.samefile(request.train, request.eval):
        raise InputError(
            f"--eval {request.eval}: expected other examples than the model was "
            "trained on, but --train is the same; set examples apart before training, "
            "and give them here"
        )
    for option, file in (("--report", request.report), ("--junit", request.junit)):
        if file is not None:
            _check_output(option, file)
    return read_limits(request)


def read_limits(request: CheckRequest) -> GuardConfig:
    """Returns the limits of `guard.yaml`, or the usual ones without it.

    The file may hold any part of a configuration, such as `evaluation:` alone: what
    says how a model is trained and pushed does not count here.

    Raises:
      InputError: If the file is missing, is not YAML, has an unknown key or a value
        out of range.
    """
    content: Any = {}
    source, folder = "the command line", Path()
    if request.config is not None:
        source, folder = str(request.config), request.config.parent
        content = read_yaml(request.config)
        content = {} if content is None else content
    if isinstance(content, dict):
        data = content.get("data") or {}
        if isinstance(data, dict):
            given = {"label": request.label} if request.label is not None else {}
            data = {**data, **given, "path": request.train.resolve()}
        # What a pipeline cannot do without, and a check can.
        content = {"name": "check", "model": {"build": "-"}, **content, "data": data}
    config = parse_config(content, source, folder)
    slices = dict.fromkeys((*config.evaluation.slices, *request.slices))
    limits = config.evaluation.model_copy(
        # The two splits are what --train and --eval name, whatever a pipeline calls
        # its own.
        update={"slices": tuple(slices), "train_split": "train", "eval_split": "eval"}
    )
    return config.model_copy(update={"evaluation": limits})


def check(
    request: CheckRequest,
    config: GuardConfig,
    on_step: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """Judges the model, and writes the files that were asked for.

    Args:
      request: What to judge, as `validate` has accepted it.
      config: The limits.
      on_step: Called with what is being done.

    Raises:
      InputError: If model or data cannot be used.
    """
    started = time.monotonic()
    on_step("loading TensorFlow")
    from components.judging.check import check_files

    judgement = check_files(
        request.model,
        request.train,
        request.eval,
        label=config.data.label,
        config=config.evaluation,
        class_balance=config.class_balance,
        features=config.feature_limits,
        leakage=config.leakage_limits,
        keras_model=request.keras_model,
        baseline=request.baseline,
        signature=request.signature,
        from_logits=request.from_logits,
        pixels=request.pixels,
        image=config.data.image_key,
        ignore=config.data.no_input,
        batch_size=request.batch_size,
        on_step=on_step,
    )
    if request.report is not None:
        on_step("writing the report")
        outcome.write_text(request.report, _render(request, judgement))
    result = outcome.of_check(
        request.model,
        judgement,
        coverage.not_looked_for(config, judgement.evaluation),
        request.report,
        time.monotonic() - started,
    )
    if request.junit is not None:
        from pipeline.junit import as_junit

        outcome.write_text(request.junit, as_junit(result))
    return result


def _check_model(request: CheckRequest) -> None:
    """Refuses what is no model, or a model that only foreign code could load."""
    model = request.model
    _check_exists("--model", model, "a SavedModel folder or a `.keras` file")
    _check_is_model("--model", model)
    if request.baseline is not None:
        _check_exists("--baseline", request.baseline, "the model in production")
        _check_is_model("--baseline", request.baseline)
    if request.keras_model is not None:
        if not model.is_dir():
            raise InputError(
                f"--keras {request.keras_model}: expected it beside a SavedModel, but "
                f"--model {model} is a `.keras` file already; leave --keras out"
            )
        _check_exists("--keras", request.keras_model, "the model's `.keras` file")
        _check_is_model("--keras", request.keras_model)
        if request.keras_model.is_dir():
            raise InputError(
                f"--keras {request.keras_model}: expected a `.keras` file, but it is a "
                "folder; save the model with `model.save('model.keras')`"
            )
    if request.signature is not None and not model.is_dir():
        raise InputError(
            f"--signature {request.signature}: expected it of a SavedModel, but "
            f"--model {model} is a `.keras` file, which has none; leave --signature "
            "out"
        )


def _check_is_model(option: str, path: Path) -> None:
    way_out = "save the model with `model.save('model.keras')` and give that file"
    if path.is_dir():
        if any((path / name).is_file() for name in _SAVED_MODEL):
            return
        versions = sorted(p for p in path.iterdir() if p.name.isdecimal())
        if versions:
            way_out = f"give the folder of one version, such as {versions[-1]}"
        raise InputError(
            f"{option} {path}: expected a SavedModel folder, but it holds no "
            f"{_SAVED_MODEL[0]}; {way_out}"
        )
    ending = path.suffix.lower()
    if ending in _OLD_KERAS:
        raise InputError(
            f"{option} {path}: expected a `.keras` file or a SavedModel folder, but "
            "Keras' older HDF5 files may run any code when they are loaded, or hold "
            f"weights only; load it where you trust it, then {way_out}"
        )
    if ending in _PICKLES:
        raise InputError(
            f"{option} {path}: expected a `.keras` file or a SavedModel folder, but a "
            f"pickle may run any code when it is loaded; {way_out}"
        )
    if ending != ".keras" or not zipfile.is_zipfile(path):
        came = f"it ends in {ending!r}" if ending != ".keras" else "it is no archive"
        raise InputError(
            f"{option} {path}: expected a `.keras` file or a SavedModel folder, but "
            f"{came}; {way_out}"
        )


def _check_data(option: str, path: Path) -> None:
    _check_exists(option, path, "a file or folder with examples")
    is_empty = not any(path.iterdir()) if path.is_dir() else not path.stat().st_size
    if is_empty:
        raise InputError(
            f"{option} {path}: expected examples, but the "
            f"{'folder' if path.is_dir() else 'file'} is empty; put them there, or "
            "correct the path"
        )


def _check_exists(option: str, path: Path, expected: str) -> None:
    if not path.exists():
        raise InputError(
            f"{option} {path}: expected {expected}, but there is nothing; correct the "
            "path"
        )
    if not os.access(path, os.R_OK):
        raise InputError(
            f"{option} {path}: expected {expected}, but it may not be read; mend its "
            "permissions"
        )


def _check_output(option: str, path: Path) -> None:
    if path.is_dir():
        raise InputError(
            f"{option} {path}: expected a file to write to, but it is a folder; name a "
            "file in it"
        )
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(
            f"{option} {path}: expected a folder to write to, but {folder} is "
            f"{'a file' if folder.exists() else 'not there'}; make it first, or "
            "choose another"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(
            f"{option} {path}: expected a file to write to, but it may not be written; "
            "mend its permissions, or choose another"
        )


def _render(request: CheckRequest, judgement: "Judgement") -> str:
    """Returns the page about a model that was only judged."""
    from components.findings import Verdict
    from components.report.inputs import CheckedModel, ReportInputs
    from components.report.render import render_report

    return render_report(
        ReportInputs(
            verdict=Verdict(findings=judgement.findings),
            title=request.model.name or str(request.model),
            evaluation=judgement.evaluation,
            check=CheckedModel(
                model=str(request.model),
                train=str(request.train),
                eval=str(request.eval),
                not_run=judgement.not_run,
            ),
        )
    )
