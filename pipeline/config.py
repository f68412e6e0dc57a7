# SPDX-License-Identifier: Apache-2.0
"""The one configuration of a guarded pipeline, read from `guard.yaml`."""

import difflib
from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml

from components.class_balance.config import ClassBalanceConfig
from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_trainer.config import ImageInput, InputConfig, TrainingConfig
from components.guarded_trainer.user_code import split_reference
from components.leakage.config import LeakageConfig
from components.settings import Settings

DataFormat = Literal["tfrecord", "csv", "parquet"]

_ENDINGS: dict[str, DataFormat] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}


class DataConfig(Settings):
    """Where the examples are, and what is in them."""

    path: Path
    """Folder with the data files, or with the sub-folders `train` and `eval`."""
    label: str = pydantic.Field(min_length=1)
    """Name of the label: integers or texts."""
    format: DataFormat | None = None
    """Format of the files; by default told by their endings."""
    image: ImageInput | None = None
    """The feature with encoded images, where the model is given images."""
    features: tuple[str, ...] | None = None
    """Numeric features that the model is given; by default all."""
    ignore: tuple[str, ...] = ()
    """Features that are neither inputs nor content, such as ids and paths."""
    eval_share: float = pydantic.Field(default=0.2, gt=0, lt=1)
    """Share of the examples that are set apart for evaluation, where there are no
    sub-folders `train` and `eval`: by a hash of the whole record, so that equal
    records stay together. Records that differ in an id alone do not: drop such
    duplicates before, or bring sub-folders."""

    @property
    def is_split(self) -> bool:
        """Whether the folder has the sub-folders `train` and `eval`."""
        return (self.path / "train").is_dir() and (self.path / "eval").is_dir()


class ModelConfig(Settings):
    """The user's model."""

    build: str = pydantic.Field(min_length=1)
    """Where the function `build_model(context) -> keras.Model` is:
    `path/to/model.py:function` or `package.module:function`."""


class PushConfig(Settings):
    """Where blessed models go."""

    destination: Path | None = None
    """Folder to publish to, one sub-folder per version, as TensorFlow Serving reads
    it; by default `serving` in the output folder."""


class GuardConfig(Settings):
    """A guarded pipeline, from the data to the push."""

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the pipeline, for its metadata and report."""
    data: DataConfig
    """The examples."""
    model: ModelConfig
    """The model."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained."""
    class_balance: ClassBalanceConfig = ClassBalanceConfig()
    """Limits of the class balance validator."""
    leakage: LeakageConfig = LeakageConfig()
    """Limits of the leakage validator."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Limits of the gate."""
    push: PushConfig = PushConfig()
    """Where blessed models go."""
    train_on_blocked_data: bool = False
    """Whether to train although a data validator blocks; the model is blocked all the
    same. By default the run stops before training, which would be a waste."""
    output: Path = Path("runs")
    """Folder for artifacts, metadata and the report."""
    beam_args: tuple[str, ...] = ("--runner=FnApiRunner",)
    """Options of Apache Beam, such as the runner of a cluster."""

    @property
    def inputs(self) -> InputConfig:
        """What the trainer needs to know of the data."""
        return InputConfig(
            label_key=self.data.label,
            image=self.data.image,
            features=self.data.features,
            ignore=self.data.ignore,
        )

    @property
    def leakage_limits(self) -> LeakageConfig:
        """The leakage limits, with what the data section says to ignore."""
        ignore = dict.fromkeys((*self.data.ignore, *self.leakage.ignore))
        return self.leakage.model_copy(update={"ignore": tuple(ignore)})

    @property
    def destination(self) -> Path:
        """Folder that blessed models are published to."""
        return self.push.destination or self.output / "serving"


def load_config(path: Path, **changes: Any) -> GuardConfig:
    """Reads `guard.yaml`.

    Relative paths in the file start from the file's folder.

    Args:
      path: The YAML file.
      **changes: Top-level entries that overrule the file's.

    Raises:
      InputError: If the file is missing, is not YAML, has an unknown key or a
        value out of range; names the file and the key.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: expected a configuration file, but there is no such file; give "
            "the path of your guard.yaml with --config"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(
            f"{path}{line}: expected YAML, but {problem}; mend the file"
        ) from error
    return parse_config(content, str(path), path.parent, **changes)


def parse_config(
    content: Any, source: str, folder: Path, **changes: Any
) -> GuardConfig:
    """Validates what a `guard.yaml` says.

    Args:
      content: The parsed YAML.
      source: What messages call the file.
      folder: Where relative paths start.
      **changes: Top-level entries that overrule the content's.

    Raises:
      InputError: As `load_config`.
    """
    if not isinstance(content, dict):
        raise InputError(
            f"{source}: expected entries such as `name:` and `data:`, but the file "
            f"holds {'nothing' if content is None else type(content).__name__}; start "
            "from the example in the README"
        )
    try:
        config = GuardConfig.model_validate({**content, **changes})
    except pydantic.ValidationError as error:
        raise InputError(_first_problem(error, source)) from error
    return _resolved(config, folder)


def data_format(data: DataConfig) -> DataFormat:
    """Returns the format of the data files.

    Raises:
      InputError: If the folder is missing, holds no data files, or files of
        several formats.
    """
    if not data.path.is_dir():
        raise InputError(
            f"{data.path}: expected a folder with data files, but there is "
            f"{'a file' if data.path.exists() else 'nothing'}; correct `data.path`"
        )
    folders = (
        [data.path / s for s in ("train", "eval")] if data.is_split else [data.path]
    )
    found: set[DataFormat] = set()
    for folder in folders:
        formats = {
            _ENDINGS[e] for p in folder.iterdir() if (e := _ending(p)) in _ENDINGS
        }
        if not formats and not (data.format and any(folder.iterdir())):
            raise InputError(
                f"{folder}: expected data files ending in {', '.join(_ENDINGS)} (or "
                "those with .gz), but there are none; correct `data.path`, or set "
                "`data.format`"
            )
        found |= formats
    if data.format:
        return data.format
    if len(found) > 1:
        raise InputError(
            f"{data.path}: expected data files of one format, but there are "
            f"{' and '.join(sorted(found))}; move the others away"
        )
    return found.pop()


def _ending(path: Path) -> str:
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower()


def _resolved(config: GuardConfig, folder: Path) -> GuardConfig:
    """Makes paths absolute, starting from the configuration's folder."""
    base = folder.resolve()
    build = config.model.build
    if split_reference(build)[0].endswith(".py"):
        build = str(base / build)
    push = config.push
    if push.destination:
        push = PushConfig(destination=base / push.destination)
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"path": base / config.data.path}),
            "model": ModelConfig(build=build),
            "output": base / config.output,
            "push": push,
        }
    )


def _first_problem(error: pydantic.ValidationError, source: str) -> str:
    """Says the first problem in one line, with the way out."""
    problems = error.errors()
    # A misspelt key explains why another one is missing.
    problem = min(problems, key=lambda p: p["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in problem["loc"])
    others = len(problems) - 1
    more = f" (and {others} more problem{'s' * (others > 1)})" if others else ""
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        near = difflib.get_close_matches(
            str(problem["loc"][-1]), known, n=1, cutoff=0.5
        )
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        return f"{source}: {key}: there is no such key; {hint}{more}"
    if problem["type"] == "missing":
        return f"{source}: {key}: expected an entry, but it is missing; add it{more}"
    return (
        f"{source}: {key}: {problem['msg']}, but got {problem['input']!r}; correct the "
        f"value{more}"
    )


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Returns the keys that the section at `location` may have."""
    section: type[pydantic.BaseModel] = GuardConfig
    for part in location:
        field = section.model_fields.get(str(part))
        nested = (
            [
                t
                for t in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if isinstance(t, type) and issubclass(t, pydantic.BaseModel)
            ]
            if field
            else []
        )
        if not nested:
            return []
        section = nested[0]
    return sorted(section.model_fields)
