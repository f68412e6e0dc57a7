# SPDX-License-Identifier: Apache-2.0
"""What a model wants to be given, so that data can be brought into that form."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
      name: Name of the input; empty where the model has but one without a name.
      shape: Shape of one row, without the batch; None for sizes that may vary.
      dtype: Name of the dtype, such as `float32` or `string`.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The inputs of a model.

    Attributes:
      inputs: In the order of the model.
      takes_examples: Whether the model is given serialized tf.Examples, and parses
        them itself; then `inputs` is its one string input.
      num_classes: Number of classes K that it answers.
    """

    inputs: tuple[InputSpec, ...]
    takes_examples: bool
    num_classes: int
