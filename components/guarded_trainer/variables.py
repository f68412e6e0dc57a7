# SPDX-License-Identifier: Apache-2.0
"""All that training changes in a model: named, read, and put back.

Keras Variables only. What a layer keeps in a `tf.Variable` or in Python is not among
them, nor is the state of TensorFlow's own random numbers (`tf.random`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator

from components.guarded_trainer.schedule import rate

MODEL, OPTIMIZER, RANDOM, BEST = "model", "optimizer", "random", "best"
"""Names of the groups: the model's own variables, its optimizer's, the seed of random
layers that have none of their own, and the best weights where they are others."""


def build_optimizer(model: keras.Model) -> None:
    """Makes the variables of the optimizer, as the first step would."""
    optimizer = model.optimizer
    if optimizer is not None and not optimizer.built:
        with model.distribute_strategy.scope():
            optimizer.build(model.trainable_variables)


def groups(model: keras.Model) -> dict[str, list[Any]]:
    """Returns the variables of a built model, by group; none stands twice."""
    found = {
        MODEL: _distinct(model.variables),
        OPTIMIZER: _distinct(
            variable
            for optimizer in optimizers(model)
            for variable in optimizer.variables
        ),
    }
    # Keras makes it when a random layer without a seed is first traced; to make it
    # here would change Python's own random numbers.
    generator = global_state.get_global_attribute("global_seed_generator")
    if generator is not None:
        found[RANDOM] = [generator.state]
    return found


def restore(model: keras.Model, arrays: Mapping[str, Iterable[np.ndarray]]) -> None:
    """Puts back what `groups` named; other groups are left to the caller.

    Args:
      model: The model, built as it was.
      arrays: The values, in the order of the variables.
    """
    if RANDOM in arrays:
        seed_generator.global_seed_generator()
    now = groups(model)
    for name, values in arrays.items():
        if name in now:
            assign(now[name], values)


def assign(variables: Iterable[Any], values: Iterable[np.ndarray]) -> None:
    """Sets variables, on all replicas."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def copy_of(variables: Iterable[Any]) -> list[np.ndarray]:
    """Returns the values of variables, in host memory."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Returns the optimizers of a model; a custom train step may have several."""
    candidates = [model.optimizer, *vars(model).values()]
    found = (c for c in candidates if isinstance(c, keras.optimizers.Optimizer))
    return list({id(optimizer): optimizer for optimizer in found}.values())


def digest(model: keras.Model, described: Mapping[str, Any]) -> str:
    """Returns a digest of a model's form and optimizer, and of whatever else is given.

    Names do not count, since Keras numbers the layers of a second model of the same
    process differently; nor do the values of the weights.
    """
    form = {
        name: [[tuple(v.shape), str(v.dtype)] for v in variables]
        for name, variables in groups(model).items()
        if name != RANDOM
    }
    content = {
        "form": form,
        "optimizers": [
            [type(o).__name__, rate.inner(o).get_config()] for o in optimizers(model)
        ],
        "keras": keras.__version__,
        **described,
    }
    text = json.dumps(content, sort_keys=True, default=lambda x: type(x).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()


def _distinct(variables: Iterable[Any]) -> list[Any]:
    return list({id(variable): variable for variable in variables}.values())
