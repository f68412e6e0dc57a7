# SPDX-License-Identifier: Apache-2.0
"""`export_guarded`: exports a model of a user's `run_fn` so that it can be judged."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer import export, modes, recording
from components.guarded_trainer.head import read_head
from components.labels import LabelValue
from components.records.model_card import ModelCard
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

_PARITY_EXAMPLES = 256


@dataclasses.dataclass(frozen=True)
class _Parser:
    """The user's parsing, as the exports want it."""

    parse: Callable[[tf.Tensor], Any]


def export_guarded(
    model: keras.Model,
    fn_args: Any,
    parse: Callable[[tf.Tensor], Any],
    *,
    label_key: str,
    labels: Sequence[LabelValue],
    batch_size: int = 32,
) -> tuple[Finding, ...]:
    """Writes what the GuardedTrainer writes: the serving model and a copy for judging.

    For the end of a `run_fn`, in place of `model.export(fn_args.serving_model_dir)`;
    with the copy, the GuardedEvaluator compares training and inference mode. Both are
    checked against the model in memory on training examples; what the check finds is
    added to the record that `fit_guarded` has left in `fn_args.model_run_dir`.

    ```python
    export_guarded(
        model,
        fn_args,
        lambda serialized: tf.io.parse_example(serialized, FEATURE_SPEC),
        label_key="species",
        labels=(0, 1, 2),
    )
    ```

    Args:
      model: The trained model.
      fn_args: TFX's FnArgs.
      parse: From serialized tf.Examples, shape (batch,), to what the model is called
        with; TensorFlow operations only, with the preprocessing of training, and
        without the label. What it takes from a Transform graph must be tracked:
        `model.tft_layer = tf_transform_output.transform_features_layer()`.
      label_key: Name of the label feature.
      labels: The classes as they stand in the examples, in the order of the model's
        outputs.
      batch_size: Examples per step in training, where no record tells it.

    Returns:
      What the check found; nothing if the exports predict what the model predicts.

    Raises:
      InputError: If the model does not answer one unit per class, or there are no
        training examples.
    """
    record = _record(fn_args.model_run_dir)
    examples = _some_examples(fn_args.train_files)
    inputs = parse(tf.constant(examples[:8]))
    head, _ = read_head(model, len(labels), inputs)
    layers = modes.adaptive_layers(model, inputs)
    card = ModelCard(
        label_key=label_key,
        labels=tuple(labels),
        batch_size=record.batch_size if record else batch_size,
        batch_norm_layers=tuple(layer.path for layer in layers),
    )
    difference, findings = export.export_both(
        model,
        head,
        _Parser(parse),
        layers,
        card,
        examples,
        serving=fn_args.serving_model_dir,
        judging=fn_args.eval_model_dir,
    )
    if record:
        recording.write_record(
            record.model_copy(
                update={
                    "export_max_difference": difference,
                    "findings": (*record.findings, *findings),
                }
            ),
            fn_args.model_run_dir,
        )
    return findings


def _record(folder: str | None) -> TrainingRecord | None:
    path = tf.io.gfile.join(folder or "", TRAINING_RECORD_FILE)
    if not folder or not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "r") as file:
        return TrainingRecord.from_json(file.read())


def _some_examples(patterns: Sequence[str]) -> np.ndarray:
    files = sorted(file for each in patterns for file in tf.io.gfile.glob(each))
    rows = (
        tf.data.TFRecordDataset(files, compression_type="GZIP")
        .take(_PARITY_EXAMPLES)
        .as_numpy_iterator()
    )
    examples = np.array(list(rows), object) if files else np.array([], object)
    if not len(examples):
        raise InputError(
            "export_guarded: expected training examples in fn_args.train_files, but "
            f"there are none under {', '.join(patterns) or 'no path'}; check the split "
            "of the examples"
        )
    return examples
