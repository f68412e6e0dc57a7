# SPDX-License-Identifier: Apache-2.0
"""What a user's functions are told about the problem."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ModelContext:
    """The argument of `build_model(context) -> keras.Model`.

    `preprocess(context)` and `augment(context)` beside it are given one as well: the
    first with the inputs before preprocessing, the second as `build_model` is.

    Example:
      ```python
      def build_model(context):
          normalize = keras.layers.Normalization()
          normalize.adapt(context.train_inputs)
          return keras.Sequential([
              keras.Input(context.input_shape),
              normalize,
              keras.layers.Dense(32, activation="relu"),
              keras.layers.Dense(context.num_classes, activation="softmax"),
          ])
      ```

    Attributes:
      input_shape: Shape of one input, without the batch: `(height, width,
        channels)` for images, `(num_features,)` for numeric features.
      feature_names: Names of the vector's entries; empty for images.
      class_names: Names of the classes in the order of the model's outputs.
      num_train_examples: Examples that the weights are fitted to; for `preprocess`,
        which is made before any are held out, all of the training split.
      hyperparameters: `HYPERPARAMETERS` of the user's file, with what the
        configuration says under `hyperparameters` instead.
      train_inputs: Batches of training inputs, float32, shape `(batch,
        *input_shape)`, without labels: for `adapt` of preprocessing layers.
    """

    input_shape: tuple[int, ...]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    num_train_examples: int
    hyperparameters: Mapping[str, Any]
    train_inputs: "tf.data.Dataset"

    @property
    def num_classes(self) -> int:
        """Number of classes K: the model has K outputs, or 1 where K is 2."""
        return len(self.class_names)
