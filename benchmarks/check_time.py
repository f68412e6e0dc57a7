# SPDX-License-Identifier: Apache-2.0
"""How long `tfx-guard check` takes on a digits model, beside importing TensorFlow.

A plain Keras network is trained on scikit-learn's digits (1,437 to train on, 360 to
decide), and judged from a `.keras` file with the data as arrays, and with the data as
pictures in folders; each run is a process of its own, as in a CI step.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from side_by_side import measure
from sklearn.datasets import load_digits

_EVALUATED = 360


def make(folder: Path) -> Path:
    """Trains the model and writes it and both forms of its data into the folder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = np.minimum(16 * x[order].reshape(-1, 8, 8), 255).astype(np.uint8)
    y = y[order]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[_EVALUATED:, ..., None] / 1.0, y[_EVALUATED:], epochs=12, verbose=0)
    model.save(folder / "model.keras")
    for split, part in (
        ("eval", slice(_EVALUATED)),
        ("train", slice(_EVALUATED, None)),
    ):
        np.savez(folder / f"{split}.npz", x=x[part, ..., None], y=y[part])
        for k, (pixels, label) in enumerate(zip(x[part], y[part], strict=True)):
            path = folder / split / str(label)
            path.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path / f"{k:04d}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = make(Path(name))
        check = [sys.executable, "-m", "pipeline.cli", "check"]
        check += ["--model", str(folder / "model.keras")]

        def on(train: str, evaluated: str) -> list[str]:
            paths = ["--train", str(folder / train), "--eval", str(folder / evaluated)]
            return [*check, *paths]

        measure(
            {
                "import tensorflow": [sys.executable, "-c", "import tensorflow"],
                "check, arrays": on("train.npz", "eval.npz"),
                "check, pictures": on("train", "eval"),
            },
            rounds,
        )


if __name__ == "__main__":
    main()
