# SPDX-License-Identifier: Apache-2.0
"""Exports a trained model for serving and for judging, and checks the export.

Two SavedModels are written. The serving model answers in inference mode and holds
no other graph. The copy for judging has three signatures, so that the evaluator can
ask the same weights in three modes on the same examples.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding, Subject, failed_check, find
from components.guarded_trainer import modes
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.labels import LabelValue
from components.records.evaluation import BATCH_STATISTICS_MODE, TRAINING_MODE
from components.records.model_card import MODEL_CARD_FILE, ModelCard

SERVING_SIGNATURE = "serving_default"
"""The serving model's only signature, by the name that TensorFlow Serving asks for."""
INFERENCE_SIGNATURE = "inference"
"""The judged copy in inference mode: what the serving model must agree with."""
PARITY_TOLERANCE = 1e-3
"""Largest difference of a probability that rounding may explain. Graph rewrites
and fused kernels reorder float32 sums, which moves probabilities by 1e-6 to 1e-5;
lost weights or a preprocessing applied twice move them by tenths."""
HALF_PRECISION_TOLERANCE = 3e-2
"""The same where a layer computes in half precision: bfloat16, the coarser kind,
keeps 8 binary digits, so that one rounding moves a probability by 0.004."""

_EXAMPLES = tf.TensorSpec((None,), tf.string, name="serialized_examples")
_ASSETS = "assets.extra"


class Parser(Protocol):
    """Knows how examples become what the model is called with."""

    @property
    def parse(self) -> Callable[[tf.Tensor], Any]:
        """From serialized tf.Examples, shape (batch,), to the model's inputs."""


def export_serving(
    model: keras.Model,
    head: Head,
    inputs: Parser,
    labels: Sequence[LabelValue],
    folder: str,
) -> None:
    """Writes the SavedModel that goes into production.

    Its one signature takes `serialized_examples` (string, shape (batch,)) and
    returns `probabilities` (float32, shape (batch, K)) and `label` (the most
    probable class as it stands in the data, shape (batch,)).
    """
    names = tf.constant(
        list(labels),
        tf.int64 if all(isinstance(label, int) for label in labels) else tf.string,
    )

    def serve(serialized_examples: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = modes.forward(
            model, inputs.parse(serialized_examples), training=False
        )
        probabilities = head.probabilities(outputs)
        return {
            "probabilities": probabilities,
            "label": tf.gather(names, tf.argmax(probabilities, axis=1)),
        }

    _write(model, {SERVING_SIGNATURE: serve}, folder)


def export_judging(
    model: keras.Model,
    head: Head,
    inputs: Parser,
    layers: Sequence[BatchNorm],
    card: ModelCard,
    folder: str,
) -> None:
    """Writes the copy for judging, with one pure signature per mode.

    `inference`, `training` (batch statistics, dropout on) and `batch_statistics`
    (inference, but for the BatchNorm layers named) each take `serialized_examples`
    and return `probabilities`. Calling them changes no variable, however often. The
    first is also the default one.

    Args:
      model: The trained model.
      head: What its outputs mean.
      inputs: How examples are parsed.
      layers: What `modes.adaptive_layers` returned for the model.
      card: Written beside the model.
      folder: Where to write.
    """

    def in_mode(
        training: bool, switched: Sequence[BatchNorm] = ()
    ) -> Callable[..., object]:
        def judge(serialized_examples: tf.Tensor) -> dict[str, tf.Tensor]:
            # Inside the traced function: Keras may trace it later than it is made.
            with modes.batch_statistics(switched):
                outputs = modes.forward(
                    model, inputs.parse(serialized_examples), training=training
                )
            return {"probabilities": head.probabilities(outputs)}

        return judge

    signatures = {
        INFERENCE_SIGNATURE: in_mode(training=False),
        TRAINING_MODE: in_mode(training=True),
        BATCH_STATISTICS_MODE: in_mode(training=False, switched=layers),
    }
    _write(model, signatures, folder)
    extra = tf.io.gfile.join(folder, _ASSETS)
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(tf.io.gfile.join(folder, MODEL_CARD_FILE), "w") as file:
        file.write(card.model_dump_json(indent=2))


def export_both(
    model: keras.Model,
    head: Head,
    inputs: Parser,
    layers: Sequence[BatchNorm],
    card: ModelCard,
    examples: np.ndarray,
    *,
    serving: str,
    judging: str,
) -> tuple[float | None, tuple[Finding, ...]]:
    """Writes both models, and compares them with the one in memory.

    Args:
      model: The trained model.
      head: What its outputs mean.
      inputs: How examples are parsed.
      layers: What `modes.adaptive_layers` returned for the model.
      card: Written beside the copy for judging.
      examples: tf.Examples to compare on, shape (n,).
      serving: Folder of the serving model.
      judging: Folder of the copy for judging.

    Returns:
      The largest difference of a probability, None where it could not be measured, and
      what is wrong.
    """
    export_serving(model, head, inputs, card.labels, serving)
    export_judging(model, head, inputs, layers, card, judging)
    exported = {
        "serving": (serving, SERVING_SIGNATURE),
        "judging": (judging, INFERENCE_SIGNATURE),
    }
    try:
        return check_parity(model, head, inputs, examples, exported)
    except Exception as error:
        return None, (failed_check("Export parity", error),)


def check_parity(
    model: keras.Model,
    head: Head,
    inputs: Parser,
    serialized: np.ndarray,
    exported: dict[str, tuple[str, str]],
) -> tuple[float, tuple[Finding, ...]]:
    """Compares what the model in memory and the exported ones predict.

    Args:
      model: The trained model.
      head: What its outputs mean.
      inputs: How examples are parsed.
      serialized: tf.Examples, shape (n,), n > 0.
      exported: Folder and signature of each exported model, by its name.

    Returns:
      The largest difference of a probability, NaN where only one side is NaN, and
      a finding for each exported model that differs by more than rounding does.

    Raises:
      InputError: If there are no examples to compare on.
    """
    if not len(serialized):
        raise InputError(
            "export check: expected examples to compare on, but there are none; "
            "give the training split at least one example"
        )
    examples = tf.constant(serialized)
    outputs = model.predict(inputs.parse(examples), verbose=0)
    expected = head.probabilities(tf.constant(outputs)).numpy()
    limit, worst, findings = tolerance(model), 0.0, []
    for name, (folder, signature) in exported.items():
        loaded = tf.saved_model.load(folder)
        got = loaded.signatures[signature](examples)["probabilities"].numpy()
        # A NaN on both sides is a matter of the model, not of the export.
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        difference = float(np.where(same, 0.0, np.abs(got - expected)).max())
        worst = float(np.maximum(worst, difference))
        if not difference <= limit:
            findings.append(_mismatch(name, difference, limit, len(serialized)))
    return worst, tuple(findings)


def tolerance(model: keras.Model) -> float:
    """Returns the largest difference of a probability that rounding may explain."""
    half = {"float16", "bfloat16"}
    precisions = {layer.compute_dtype for layer in model._flatten_layers()}
    return HALF_PRECISION_TOLERANCE if precisions & half else PARITY_TOLERANCE


def _mismatch(name: str, difference: float, limit: float, num_examples: int) -> Finding:
    return find(
        "export_mismatch",
        f"The exported {name} model and the trained one differ by up to "
        f"{difference:.3g} in a probability on {num_examples} examples.",
        subject=Subject(model=name),
        measured=difference,
        limit=limit,
        unit="probability",
        found_by="GuardedTrainer",
    )


def _write(
    model: keras.Model, signatures: dict[str, Callable[..., object]], folder: str
) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, function in signatures.items():
        archive.add_endpoint(name, function, input_signature=[_EXAMPLES])
    archive.write_out(folder, verbose=False)
