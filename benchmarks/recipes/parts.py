# SPDX-License-Identifier: Apache-2.0
"""Parts of models, and options of `fit`, that several recipes share."""

import keras
from keras import layers
from recipes.architectures import compiled, mlp
from recipes.making import adam

BINARY = "binary_crossentropy"


def batch_norm(momentum=0.9):
    return lambda: layers.BatchNormalization(momentum=momentum)


def stopping(patience=5):
    """Options of `fit` that stop early on a fifth of the rows."""
    return {
        "validation_split": 0.2,
        "callbacks": lambda: [
            keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)
        ],
    }


def one_unit(*widths, rate=3e-3, **options):
    return compiled(
        mlp(*widths, head="sigmoid", units=1, **options), adam(rate), BINARY
    )
