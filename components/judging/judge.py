# SPDX-License-Identifier: Apache-2.0
"""`components.judge`: a verdict on a model, without TFX; for notebooks and tests."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.judging.concluding import DataLimits, conclude
from components.judging.data.datasets import of_data
from components.judging.data.stored import StoredData
from components.judging.judgement import Judgement
from components.judging.models.asked import AskedModel
from components.judging.models.opening import open_model
from components.records.training import TrainingRecord

_FIRST_ROWS = 8
"""Rows that a model in memory is built with."""


def judge(
    model: Any,
    train: Any,
    eval: Any,
    training: TrainingRecord | None = None,
    *,
    config: EvaluationConfig | Mapping[str, Any] | None = None,
    class_names: Sequence[str] | None = None,
    baseline: Any = None,
    batch_size: int | None = None,
    from_logits: bool | None = None,
    slices: Mapping[str, tuple[Any, Any]] | None = None,
    data_checks: bool = True,
    keras_model: Any = None,
    signature: str | None = None,
) -> Judgement:
    """Judges a classifier for how it may fail in use, as the pipeline's gate does.

    Looks through the data as the data guards do, asks the model about both splits in
    inference mode and in training mode, and decides by the same checks and limits as
    the GuardedEvaluator. The model stays as it is.

    ```python
    judgement = judge(model, (x_train, y_train), (x_test, y_test))
    assert judgement.passed, judgement.table()
    ```

    Args:
      model: A Keras 3 model; or the path of a `.keras` file or of a SavedModel's
        folder; or a function from a batch of x to probabilities, which has one mode
        only. It answers one number per class, or one for two classes, as its only
        output or as that called `probabilities`.
      train: What it was trained on: `(x, y)` of arrays, x also a dict or tuple of
        arrays; or a finite tf.data.Dataset of such pairs. y holds class ids from 0,
        one-hot rows or texts. Examples are not weighted.
      eval: The same for examples that it was not trained on; they decide.
      training: What `fit_guarded` returned, if it trained the model.
      config: The limits: an EvaluationConfig, or a dict of its fields.
      class_names: Names of the classes in the order of the model's outputs; texts in y
        are sorted without it.
      baseline: A model in production to compare with, as `model`.
      batch_size: Batch size of training, which decides what batch statistics mean; by
        default that of `training`, or what a model exported by the GuardedTrainer
        tells, or 32, as in `model.fit`.
      from_logits: Whether the model answers logits, of which probabilities are made.
        By default answers are taken as they are, and logits block.
      slices: By name, values of each row of `train` and of `eval`, such as a site or a
        device: each value is judged by itself, too.
      data_checks: Whether to look through the data as well, which takes seconds.
      keras_model: The Keras model, or its `.keras` file, that a SavedModel was exported
        from: it can be asked in training mode, the SavedModel cannot.
      signature: Signature of a SavedModel to ask; by default `serving_default`.

    Returns:
      A verdict with its numbers: `judgement.passed`, `judgement.blocking`,
      `judgement.evaluation`; `print` shows one line, `judgement.table()` everything.

    Raises:
      InputError: If model or data cannot be judged. What goes wrong while judging does
        not raise but blocks.
    """
    settings = _settings(config, slices)
    opened: AskedModel | None = None
    if isinstance(model, str | os.PathLike) and keras_model is None:
        opened = open_model(model, signature=signature, from_logits=from_logits)
    with of_data(
        train,
        eval,
        num_classes=opened.spec.num_classes if opened else None,
        class_names=class_names,
        slices=slices,
    ) as data:

        def first_inputs() -> Any:
            return data.train.inputs(
                np.arange(min(_FIRST_ROWS, len(data.train.hashes)))
            )

        if opened is None:
            opened = open_model(
                model,
                first_inputs,
                beside=keras_model,
                signature=signature,
                from_logits=from_logits,
            )
        in_use = None
        if baseline is not None:
            in_use = open_model(baseline, first_inputs, from_logits=from_logits)
        return conclude(
            opened,
            _of_classes(data, opened),
            settings,
            training=training,
            baseline=in_use,
            batch_size=batch_size,
            data_limits=DataLimits() if data_checks else None,
        )


def _of_classes(data: StoredData, model: AskedModel) -> StoredData:
    """Returns the data with one label for each class that the model answers.

    Raises:
      InputError: If there are labels of other classes, or another number of names.
    """
    num_classes = model.spec.num_classes
    if len(data.labels) == num_classes:
        return data
    are_ids = data.labels == tuple(range(len(data.labels)))
    if are_ids and len(data.labels) < num_classes:
        return dataclasses.replace(data, labels=tuple(range(num_classes)))
    listed = ", ".join(map(str, data.labels[:8])) + (", ..." if data.labels[8:] else "")
    raise InputError(
        f"y: expected labels of the {num_classes} classes that the model answers, but "
        f"there are {len(data.labels)} ({listed}); judge the model on the classes that "
        "it was trained on, and name all of them in `class_names` where y holds texts"
    )


def _settings(
    config: EvaluationConfig | Mapping[str, Any] | None,
    slices: Mapping[str, Any] | None,
) -> EvaluationConfig:
    """Returns the limits, with what is given to slice by.

    Raises:
      InputError: If a limit is unknown or out of range.
    """
    fields = (
        config.model_dump(exclude_unset=True)
        if isinstance(config, EvaluationConfig)
        else dict(config or {})
    )
    if slices:
        fields["slices"] = tuple(dict.fromkeys((*fields.get("slices", ()), *slices)))
    try:
        return EvaluationConfig.model_validate(fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InputError(
            f"config: expected a valid `{name}`, but got {first['input']!r}: "
            f"{first['msg']}; see EvaluationConfig for what it may be"
        ) from error
