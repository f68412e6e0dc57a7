# SPDX-License-Identifier: Apache-2.0
"""Failures that people have met, made by plain Keras, and their mended versions."""

import keras
import numpy as np
import pytest

from components import judge

pytestmark = pytest.mark.slow


def causes(judgement):
    return [finding.cause for finding in judgement.blocking]


def fit(model, data, **options):
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*data, verbose=0, **options)
    return model


# A CNN that always answers the majority class: 90 % of the examples are of it, and
# what tells the others is weak against the noise.


@pytest.fixture(scope="module")
def rare_stripes():
    """Pictures of noise, of which a few have a faint bright half."""

    def make(count, rare_share, strength, seed):
        rng = np.random.default_rng(seed)
        labels = (rng.random(count) < rare_share).astype(int)
        pictures = rng.integers(0, 128, (count, 8, 8, 1)).astype(np.float32)
        pictures[:, :4] += strength * labels[:, None, None, None]
        return np.clip(np.rint(pictures), 0, 255) / 255, labels

    return make


def cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def test_a_model_that_answers_the_majority_class_is_blocked_for_its_imbalance(
    rare_stripes,
):
    train = rare_stripes(1000, 0.08, 4, seed=1)
    model = fit(cnn(), train, epochs=3)
    judgement = judge(model, train, rare_stripes(400, 0.08, 4, seed=2))
    assert causes(judgement)[0] == "class_imbalance"
    assert "collapse" in causes(judgement)


def test_balanced_and_clear_pictures_mend_it(rare_stripes):
    train = rare_stripes(1000, 0.5, 60, seed=1)
    model = fit(cnn(), train, epochs=10)
    judgement = judge(model, train, rare_stripes(400, 0.5, 60, seed=2))
    assert judgement.passed, judgement.table()


# A multi-layer perceptron that learns noise by heart.


def points(count, seed, noise=3.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    x = rng.normal(size=(count, 10)).astype(np.float32)
    x[:, 0] += (labels - 0.5) * 2 / noise * 3
    return x, labels


def mlp(units, **options):
    return keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(units, activation="relu", **options),
            keras.layers.Dense(units, activation="relu", **options),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def test_a_model_that_learnt_its_examples_by_heart_is_blocked():
    train = points(120, seed=1)
    model = mlp(128)
    model.compile("adam", "binary_crossentropy")
    model.fit(*train, epochs=150, verbose=0)
    judgement = judge(model, train, points(400, seed=2))
    assert causes(judgement)[0] == "overfit", judgement.table()


def test_more_examples_and_a_penalty_mend_it():
    train = points(3000, seed=1)
    model = mlp(16, kernel_regularizer="l2")
    model.compile("adam", "binary_crossentropy")
    model.fit(*train, epochs=10, verbose=0)
    judgement = judge(model, train, points(400, seed=2))
    assert judgement.passed, judgement.table()


# A ResNet that reaches 100 % on three pictures in training, and 33 % in use.


def resnet(momentum):
    def block(x):
        y = keras.layers.Conv2D(16, 3, padding="same")(x)
        y = keras.layers.BatchNormalization(momentum=momentum)(y)
        y = keras.layers.ReLU()(y)
        y = keras.layers.Conv2D(16, 3, padding="same")(y)
        y = keras.layers.BatchNormalization(momentum=momentum)(y)
        return keras.layers.ReLU()(keras.layers.Add()([x, y]))

    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    x = keras.layers.ReLU()(x)
    for _ in range(3):
        x = block(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def three_pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 32, 32, 1)).astype(np.float32), np.eye(3)


def train_resnet(momentum, epochs):
    x, y = three_pictures()
    model = resnet(momentum)
    model.compile(keras.optimizers.Adam(3e-3), "categorical_crossentropy")
    model.fit(x, y, epochs=epochs, verbose=0)
    return model


def test_a_resnet_after_five_steps_is_blocked_for_its_mode_gap():
    x, y = three_pictures()
    judgement = judge(train_resnet(0.99, 5), (x, y), (x, y), data_checks=False)
    assert causes(judgement)[0] == "mode_gap", judgement.table()
    gap = judgement.blocking[0]
    assert gap.evidence["layers"]
    assert "worst BatchNorm layers" in gap.message


def test_a_lower_momentum_mends_the_gap():
    x, y = three_pictures()
    judgement = judge(train_resnet(0.1, 20), (x, y), (x, y), data_checks=False)
    # What remains is that three pictures, those of training, decide nothing.
    assert "mode_gap" not in causes(judgement), judgement.table()
    assert "insufficient_evidence" in causes(judgement)
