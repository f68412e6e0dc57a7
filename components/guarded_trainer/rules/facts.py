# SPDX-License-Identifier: Apache-2.0
"""What is known of a training before its first step."""

import dataclasses

from components.records.training import ProbeReading


@dataclasses.dataclass(frozen=True)
class LayerFacts:
    """What is known of one layer, before training.

    Attributes:
      layer: Path of the layer.
      kind: Name of its class, such as `Dense`.
      activation: Name of its activation, such as `relu`; None if it has none.
      num_parameters: Number of its own weights.
      trainable: Whether any of them is trained.
      regularized: Whether it regularises: dropout, noise, a weight penalty, or
        random augmentation.
      momentum: BatchNorm that training mode updates: its momentum; else None.
      identical_units: Whether all units start with the same weights, so that they
        learn the same; None where it cannot be told.
    """

    layer: str
    kind: str
    activation: str | None = None
    num_parameters: int = 0
    trainable: bool = False
    regularized: bool = False
    momentum: float | None = None
    identical_units: bool | None = None


@dataclasses.dataclass(frozen=True)
class TrainingFacts:
    """What is known of model, data and plan before the first step.

    Attributes:
      num_classes: Number of classes K.
      class_counts: Fitted examples of each class; length K.
      held_out_counts: Held-out examples of each class; length K, or empty where they
        were not counted, and are then taken to be spread like the fitted ones.
      class_names: Names of the classes; empty where they go by their numbers.
      num_examples: Examples that the weights are fitted to.
      num_held_out: Examples held out.
      steps_per_epoch: Steps in an epoch.
      planned_epochs: Most epochs.
      batch_size: Examples per step.
      learning_rate: At the first step; None where it cannot be told.
      optimizer: Name of the optimizer's class.
      num_parameters: Number of weights.
      num_trainable: Number of trainable weights.
      layers: The layers, in the order of the model.
      input_scale: Root mean square of what enters the first layer with trained
        weights that is no normalisation, over the probe; None where it cannot be
        told.
      input_range: Smallest and largest of the same.
      feature_scales: Root mean square of each feature (last axis) of the same,
        largest first, with its name; at most 20.
      initial: The probe before the first step.
    """

    num_classes: int
    class_counts: tuple[int, ...]
    num_examples: int
    num_held_out: int
    steps_per_epoch: int
    planned_epochs: int
    batch_size: int
    learning_rate: float | None
    optimizer: str
    num_parameters: int
    num_trainable: int
    layers: tuple[LayerFacts, ...] = ()
    input_scale: float | None = None
    input_range: tuple[float, float] | None = None
    feature_scales: tuple[tuple[str, float], ...] = ()
    initial: ProbeReading | None = None
    held_out_counts: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()

    def class_name(self, k: int) -> str:
        """Returns the name of class k."""
        return self.class_names[k] if k < len(self.class_names) else str(k)

    @property
    def regularized(self) -> bool:
        """Whether any layer regularises."""
        return any(layer.regularized for layer in self.layers)
