# SPDX-License-Identifier: Apache-2.0
"""Looks at a model on the same examples each time, in both modes, with gradients."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe import summary
from components.guarded_trainer.probe.layers import WatchedLayer, watched_layers
from components.guarded_trainer.probe.looks import TrainingLook, inference_look
from components.records.training import ProbeReading


class Probe:
    """Looks at a model on a fixed probe, without changing it.

    A reading runs the probe through the model in training mode and in inference
    mode, in pieces of the size of a training batch: so BatchNorm sees batches as it
    does in training, and no more memory is needed than for a training step. The
    gradients are those of the first piece. Neither variables nor the seeds of
    dropout change, so that a training is the same whether it is watched or not.

    Example:
    ```python
    inputs, class_ids = choose_probe(data, size=128, seed=0)
    probe = Probe(model, head, inputs, class_ids, batch_norm_layers, batch_size=32)
    before = probe.read()
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        head: Head,
        inputs: Any,
        class_ids: np.ndarray,
        batch_norm_layers: Sequence[BatchNorm] = (),
        *,
        batch_size: int = 32,
    ):
        """Constructs the probe; nothing is traced yet.

        Args:
          model: A built model, compiled or not.
          head: What its outputs mean.
          inputs: What the model is called with: a tensor or a structure of them, all
            of the same first dimension, not 0.
          class_ids: Class of each example, shape (examples,).
          batch_norm_layers: What `modes.adaptive_layers` returned for the model.
          batch_size: Most examples to look at together; that of the training.

        Raises:
          ValueError: If there are no examples.
        """
        if not len(class_ids):
            raise ValueError(
                "class_ids: expected at least one example to look at, but there is "
                "none; switch the probe off instead"
            )
        self._model = model
        self._head = head
        self._class_ids = np.asarray(class_ids, np.int64)
        self._batch_norm = tuple(batch_norm_layers)
        count = -(-len(class_ids) // batch_size)
        # Of nearly the same size: a piece of one would tell BatchNorm nothing.
        cuts = np.linspace(0, len(class_ids), count + 1).round().astype(int)
        # They wait in the memory of the computer, not in that of a GPU.
        with tf.device("CPU"):
            self._pieces = [
                tf.nest.map_structure(
                    lambda x, a=a, b=b: tf.constant(x[a:b]), (inputs, self._class_ids)
                )
                for a, b in zip(cuts[:-1], cuts[1:], strict=True)
            ]
        self.reset()

    @property
    def num_examples(self) -> int:
        """Examples in the probe."""
        return len(self._class_ids)

    @property
    def layers(self) -> tuple[WatchedLayer, ...]:
        """All layers in the order of their first calls, those never called last."""
        self._trace_if_changed()
        return self._layers

    def reset(self) -> None:
        """Has the model traced again before the next reading.

        That is needed where its layers were changed in a way that `fit` would need a
        new `compile` for; a change of what is trainable is seen without it.
        """
        self._traced_for: list[Any] | None = None

    def read(self, update_ratios: Mapping[str, float] | None = None) -> ProbeReading:
        """Looks at the model as it is now.

        Args:
          update_ratios: What `WatchSteps` measured in the epoch, to stand beside.

        Raises:
          Exception: Whatever the model raises.
        """
        self._trace_if_changed()
        training, losses, right = [], [], []
        inferred, probabilities = [], []
        for i, (inputs, class_ids) in enumerate(self._pieces):
            look, numbers = self._looks[i > 0]
            vector, loss, correct = look(inputs, class_ids)
            training.append((len(class_ids), numbers.unpack(vector)))
            losses.append(loss)
            right.append(correct)
        for inputs, class_ids in self._pieces:
            loss, share = self._infer(inputs, class_ids)
            inferred.append(loss)
            probabilities.append(share)
        return ProbeReading(
            num_examples=self.num_examples,
            training_loss=float(np.concatenate(losses).mean(dtype=np.float64)),
            training_accuracy=float(np.concatenate(right).mean()),
            inference_loss=float(np.concatenate(inferred).mean(dtype=np.float64)),
            **summary.of_predictions(np.concatenate(probabilities), self._class_ids),
            layers=summary.of_layers(
                self._layers, self._adaptive, training, update_ratios or {}
            ),
        )

    def _trace_if_changed(self) -> None:
        # Kept as they are, not as their `id`, which could come to another's.
        now = [
            *self._model.trainable_variables,
            *(layer for layer in self._batch_norm if layer.trainable),
        ]
        before = self._traced_for
        if before is not None and list(map(id, now)) == list(map(id, before)):
            return
        # Where they were frozen since, their moving statistics are what they use.
        self._adaptive = tuple(x for x in self._batch_norm if x.trainable)
        entries = watched_layers(self._model)
        full = TrainingLook(self._model, self._head, entries, self._adaptive)
        looks = [(self._traced(full.with_gradients), full.numbers)]
        if len(self._pieces) > 1:
            rest = TrainingLook(self._model, self._head, entries, self._adaptive)
            looks.append((self._traced(rest.without_gradients), rest.numbers))
        self._looks = looks
        self._infer = self._traced(inference_look(self._model, self._head))
        place = {layer: i for i, layer in enumerate(full.order)}
        self._layers: tuple[WatchedLayer, ...] = tuple(
            sorted(entries, key=lambda x: place.get(id(x.layer), len(place)))
        )
        self._traced_for = now

    def _traced(self, function: Callable[..., Any]) -> Callable[..., Any]:
        specs = tf.nest.map_structure(
            lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), self._pieces[0]
        )
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)

        def call(*arguments: Any) -> list[np.ndarray]:
            return [np.asarray(tensor) for tensor in traced(*arguments)]

        return call
