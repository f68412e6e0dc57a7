# SPDX-License-Identifier: Apache-2.0
"""The one configuration of a guarded pipeline, read from `guard.yaml`."""

import difflib
from pathlib import Path
from typing import Any

import pydantic
import yaml

from components.class_balance.config import ClassBalanceConfig
from components.errors import InputError
from components.feature_validator.config import FeatureConfig
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.transfer.settings import TransferConfig
from components.guarded_trainer.user_code.references import split_reference
from components.leakage.config import LeakageConfig
from components.settings import Settings
from pipeline.data import DataConfig


class ModelConfig(Settings):
    """The user's model."""

    build: str | None = pydantic.Field(default=None, min_length=1)
    """Where the function `build_model(context) -> keras.Model` is:
    `path/to/model.py:function` or `package.module:function`."""
    transfer: TransferConfig | None = None
    """A pretrained base in place of a function: for pictures."""

    @pydantic.model_validator(mode="after")
    def _is_one_of_both(self) -> "ModelConfig":
        if (self.build is None) == (self.transfer is None):
            came = "neither" if self.build is None else "both"
            raise ValueError(
                "Input should have either 'build' (your own function) or 'transfer' "
                f"(a pretrained base), not {came}"
            )
        return self


class PushConfig(Settings):
    """Where blessed models go."""

    destination: Path | None = None
    """Folder to publish to, one sub-folder per version, as TensorFlow Serving reads
    it; by default `serving` in the output folder."""
    keep_versions: int | None = pydantic.Field(default=None, ge=1)
    """Number of different models to keep there; older versions are removed after a
    push. By default nothing is removed: what is in production is not ours to delete
    unasked."""


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
    features: FeatureConfig = FeatureConfig()
    """Limits of the feature validator."""
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
            ignore=self.data.no_input,
        )

    @property
    def feature_limits(self) -> FeatureConfig:
        """The limits of the features, with what the data section says of them."""
        image = self.data.image_key
        features = (image,) if image else self.data.features
        ignore = dict.fromkeys((*self.data.no_input, *self.features.ignore))
        return self.features.model_copy(
            update={
                "label_key": self.data.label,
                "image": image,
                "features": self.features.features or features,
                "ignore": tuple(ignore),
            }
        )

    @property
    def leakage_limits(self) -> LeakageConfig:
        """The leakage limits, with what the data section says of the features."""
        ignore = dict.fromkeys((*self.data.no_content, *self.leakage.ignore))
        return self.leakage.model_copy(
            update={
                "ignore": tuple(ignore),
                "image": self.leakage.image or self.data.image_key,
                "group": self.leakage.group or self.data.group,
                "time": self.leakage.time or self.data.time,
            }
        )

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
    return parse_config(read_yaml(path), str(path), path.parent, **changes)


def read_yaml(path: Path) -> Any:
    """Returns what a configuration file says, not validated.

    Raises:
      InputError: If the file is missing or is not YAML.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: expected a configuration file, but there is no such file; give "
            "the path of your guard.yaml with --config"
        )
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(
            f"{path}{line}: expected YAML, but {problem}; mend the file"
        ) from error


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


def _resolved(config: GuardConfig, folder: Path) -> GuardConfig:
    """Makes paths absolute, starting from the configuration's folder."""
    base = folder.resolve()
    push = config.push
    if push.destination:
        push = PushConfig(destination=base / push.destination)
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=_resolved_paths(config.data, base)),
            "model": config.model.model_copy(
                update=_resolved_model(config.model, base)
            ),
            "output": base / config.output,
            "push": push,
        }
    )


def _resolved_model(model: ModelConfig, base: Path) -> dict[str, Any]:
    if model.build and split_reference(model.build)[0].endswith(".py"):
        return {"build": str(base / model.build)}
    if model.transfer and model.transfer.weights_file:
        weights = str(base / model.transfer.weights_file)
        return {"transfer": model.transfer.model_copy(update={"weights": weights})}
    return {}


def _resolved_paths(data: DataConfig, base: Path) -> dict[str, Path]:
    paths = {"path": data.path, "metadata": data.metadata}
    return {name: base / path for name, path in paths.items() if path}


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
