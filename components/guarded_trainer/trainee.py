# SPDX-License-Identifier: Apache-2.0
"""Makes a user's model ready to train: built, compiled, and read."""

import dataclasses
from typing import Any

import keras

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer import modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head, read_head
from components.guarded_trainer.losses import choosing
from components.guarded_trainer.losses.compiling import compile_for
from components.guarded_trainer.schedule import clipping
from components.labels import ClassTable


@dataclasses.dataclass(frozen=True)
class Trainee:
    """A model that is built and compiled, and what has been read off it.

    Attributes:
      model: The model.
      head: What its outputs mean.
      batch_norm_layers: Its BatchNorm layers that training mode updates.
      loss: Name of its loss.
      class_weight: What `model.fit` is given as `class_weight`.
      findings: What does not fit together.
    """

    model: keras.Model
    head: Head
    batch_norm_layers: tuple[modes.BatchNorm, ...]
    loss: str
    class_weight: dict[int, float] | None
    findings: tuple[Finding, ...]

    @property
    def hopeless(self) -> str | None:
        """Why training it must fail, in a clause; None where nothing says so."""
        for finding in self.findings:
            if finding.blocks:
                return (
                    f"nothing can be learnt so: {finding.message.rstrip('.')}; "
                    f"{finding.remedy[:1].lower()}{finding.remedy[1:].rstrip('.')}"
                )
        return None


def count_classes(model: keras.Model, inputs: Any) -> int:
    """Returns how many classes a model answers; builds it if need be.

    A single unit stands for the second of two classes.

    Args:
      model: Any Keras model; it need be neither built nor compiled.
      inputs: A few real inputs.

    Raises:
      InputError: If the model has several outputs, or one that is no row per example.
    """
    outputs = modes.call(model, inputs, training=False)
    shape = getattr(outputs, "shape", None)
    if shape is None:
        raise InputError(
            "model: expected one output of shape (batch, classes), but the model "
            f"answers a {type(outputs).__name__} of {len(outputs)} outputs; guard a "
            "model with the output that classifies, and train the others on their own"
        )
    if len(shape) != 2:
        raise InputError(
            "model: expected one output of shape (batch, classes), but the model "
            f"answers {tuple(shape)}; end it with one Dense layer, after pooling or "
            "flattening"
        )
    return max(int(shape[-1]), 2)


def prepare(
    model: keras.Model,
    inputs: Any,
    classes: ClassTable,
    config: TrainingConfig,
    *,
    one_hot: bool | None = None,
    has_sample_weights: bool = False,
    compile_options: dict[str, Any] | None = None,
) -> Trainee:
    """Builds and compiles what the user left unbuilt or uncompiled.

    Args:
      model: Any Keras model. Where it is compiled, it stays as it is.
      inputs: A few real inputs.
      classes: The classes.
      config: Rate, clipping and loss of a model that comes uncompiled.
      one_hot: Whether labels come one-hot, where a loss of the user's making takes
        either.
      has_sample_weights: Whether the data carry weights of their own.
      compile_options: Handed to `model.compile`, such as `jit_compile`.

    Raises:
      InputError: If the model does not answer one unit per class, or a loss is asked
        for that it does not allow.
    """
    head, findings = read_head(model, len(classes.labels), inputs, one_hot=one_hot)
    by_user = bool(model.compiled)
    class_weight = choosing.class_weights(
        classes, config.loss, by_user, has_sample_weights=has_sample_weights
    )
    if by_user:
        loss = loss_name(model)
        if config.schedule.clip_norm is not None:
            clipping.clip(model, config.schedule.clip_norm)
    else:
        loss = compile_for(
            model,
            head,
            classes,
            config,
            has_sample_weights=has_sample_weights,
            **(compile_options or {}),
        ).name
    return Trainee(
        model,
        head,
        modes.adaptive_layers(model, inputs),
        loss,
        class_weight,
        findings,
    )


def loss_name(model: keras.Model) -> str:
    """Returns the name of a compiled loss; `custom` where the train step has one."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        loss = loss[0] if len(loss) == 1 else None
    if loss is None:
        return "custom"
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", "custom"))
