# SPDX-License-Identifier: Apache-2.0
"""`tfx-guard check` on models that plain Keras has trained, as a CI system runs it."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images, make_classification

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Problem:
    """A trained model and its data, in files.

    Attributes:
      model: The `.keras` file.
      train: Examples that it was trained on.
      eval: Others.
    """

    model: Path
    train: Path
    eval: Path

    def check(self, *arguments, model=None):
        """Runs the command in a process of its own, as a user does."""
        command = [sys.executable, "-m", "pipeline.cli", "check"]
        command += ["--model", str(model or self.model)]
        command += ["--train", str(self.train), "--eval", str(self.eval)]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=600
        )
        assert "Traceback" not in done.stderr
        return done


def first_cause(done):
    assert done.returncode == 3, done.stderr + done.stdout
    return json.loads(done.stdout)["findings"][0]["cause"]


def blocking(done):
    found = json.loads(done.stdout)["findings"]
    return {finding["cause"] for finding in found if finding["severity"] == "block"}


def keep(folder, x, y):
    """Writes 16 x 16 pictures into one sub-folder per class."""
    for k, (picture, name) in enumerate(zip(x, y, strict=True)):
        path = folder / str(name)
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path / f"{k:04d}.png")
    return folder


def keep_csv(path, x, y):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"f{k}" for k in range(x.shape[1])), "label"])
        for row, label in zip(x.tolist(), y.tolist(), strict=True):
            writer.writerow([*row, label])
    return path


def digit_pictures():
    """Returns digits as uint8 of shape (1797, 16, 16), and their labels."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).repeat(2, axis=1).repeat(2, axis=2)
    return np.clip(images * 16, 0, 255).astype(np.uint8), labels


def fit(model, x, y, epochs, optimizer="adam", **options):
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=epochs, verbose=0, **options)
    return model


def small_cnn():
    import keras

    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def majority_class(folder, *, mended):
    """Seed 002: nineteen of twenty pictures are of one class, and training is short."""
    x, y = digit_pictures()
    is_three = y == 3
    if not mended:
        drop = np.flatnonzero(is_three)[80:]
        x, is_three = np.delete(x, drop, axis=0), np.delete(is_three, drop)
    names = np.where(is_three, "three", "other")
    is_eval = np.random.default_rng(0).permutation(len(x)) % 4 == 0
    keep(folder / "train", x[~is_eval], names[~is_eval])
    keep(folder / "eval", x[is_eval], names[is_eval])
    model = fit(
        small_cnn(),
        x[~is_eval, :, :, None].astype("float32"),
        is_three[~is_eval].astype("int32"),
        epochs=15 if mended else 1,
        optimizer="adam" if mended else "sgd",
    )
    model.save(folder / "model.keras")
    return Problem(folder / "model.keras", folder / "train", folder / "eval")


def overfit_mlp(folder, *, mended):
    """Seed 003: a large network on few rows of noisy data."""
    import keras

    rows = 2400 if mended else 480
    x, y = make_classification(
        rows, 20, n_informative=4, n_redundant=0, flip_y=0.15, random_state=0
    )
    x, count = x.astype("float32"), rows - 400
    width = 8 if mended else 256
    layers = [keras.Input((20,)), keras.layers.Dense(width, activation="relu")]
    if mended:
        layers.append(keras.layers.Dropout(0.2))
    layers.append(keras.layers.Dense(2, activation="softmax"))
    model = fit(
        keras.Sequential(layers), x[:count], y[:count], epochs=20 if mended else 150
    )
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)
    return Problem(
        folder / "model.keras",
        keep_csv(folder / "train.csv", x[:count], y[:count]),
        keep_csv(folder / "eval.csv", x[count:], y[count:]),
    )


def small_resnet(side, momentum, classes=10):
    import keras
    from keras import layers

    def normalized(tensor, filters, stride=1):
        tensor = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(tensor)
        return layers.BatchNormalization(momentum=momentum)(tensor)

    inputs = keras.Input((side, side, 1))
    tensor = layers.Rescaling(1 / 255)(inputs)
    tensor = layers.ReLU()(normalized(tensor, 8))
    for filters in (8, 16):
        shortcut = layers.Conv2D(filters, 1, use_bias=False)(tensor)
        shortcut = layers.MaxPooling2D()(shortcut)
        branch = layers.ReLU()(normalized(tensor, filters, 2))
        branch = normalized(branch, filters)
        tensor = layers.ReLU()(layers.add([branch, shortcut]))
    tensor = layers.GlobalAveragePooling2D()(tensor)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(tensor))


def batchnorm_gap(folder, *, mended):
    """Seed 004 on real digits: BatchNorm averages over more steps than there are."""
    x, y = digit_pictures()
    x = x[..., None]
    count = len(x) - 400
    model = fit(
        small_resnet(16, 0.9 if mended else 0.999),
        x[:count].astype("float32"),
        y[:count],
        epochs=12 if mended else 6,
        batch_size=32,
    )
    model.save(folder / "model.keras")
    for name, part in (("train", slice(count)), ("eval", slice(count, None))):
        np.savez(folder / f"{name}.npz", x=x[part], y=y[part])
    return Problem(folder / "model.keras", folder / "train.npz", folder / "eval.npz")


def three_images(folder, *, mended=False):
    """Seed 004 as it was asked: three images, momentum 0.99, five epochs.

    They are judged by themselves, a little brighter, as nothing else is there.
    """
    china, flower = (
        np.asarray(Image.fromarray(picture).convert("L").resize((32, 32)))[..., None]
        for picture in load_sample_images().images
    )
    x = np.stack([china, flower, china[::-1, ::-1]])
    model = small_resnet(32, 0.99, classes=3)
    fit(model, x.astype("float32"), np.arange(3), epochs=5, optimizer=adam(0.05))
    model.save(folder / "model.keras")
    np.savez(folder / "train.npz", x=x, y=np.arange(3))
    brighter = np.minimum(x, 245) + 10
    np.savez(folder / "eval.npz", x=brighter, y=np.arange(3))
    return Problem(folder / "model.keras", folder / "train.npz", folder / "eval.npz")


def adam(rate):
    import keras

    return keras.optimizers.Adam(rate)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Makes a problem, once for all tests."""
    made = {}

    def problem(make, *, mended=False):
        key = (make, mended)
        if key not in made:
            import keras

            keras.utils.set_random_seed(0)
            folder = tmp_path_factory.mktemp(make.__name__)
            made[key] = make(folder, mended=mended)
        return made[key]

    return problem


@pytest.fixture(scope="module")
def blocked(problem, tmp_path_factory):
    """The check of the majority-class model, with all that it can write."""
    folder = tmp_path_factory.mktemp("outputs")
    files = ["--junit", str(folder / "junit.xml")]
    files += ["--report", str(folder / "report.html")]
    return problem(majority_class).check("--format", "json", *files), folder


class TestMajorityClass:
    def test_is_blocked_and_explained_by_the_imbalance(self, blocked):
        done, _ = blocked
        assert first_cause(done) == "class_imbalance"
        assert "collapse" in blocking(done)

    def test_standard_output_is_one_object_and_nothing_is_said_beside_it(self, blocked):
        done, folder = blocked
        answer = json.loads(done.stdout)
        assert answer["blessed"] is False
        assert answer["report"] == str(folder / "report.html")
        in_use = {(a["model"], a["split"]): a for a in answer["accuracies"]}
        assert in_use["candidate", "eval"]["accuracy"] > 0.9
        assert done.stderr == ""

    def test_the_junit_file_has_the_same_failures(self, blocked):
        done, folder = blocked
        suite = ElementTree.parse(folder / "junit.xml").getroot()[0]
        failed = {
            case.get("name") for case in suite if case.find("failure") is not None
        }
        assert failed == blocking(done)
        passed = {case.get("name") for case in suite if not len(case)}
        assert {"duplicate_leakage", "mode_gap", "batch_dependence"} <= passed

    def test_the_report_says_so_and_needs_nothing_but_itself(self, blocked):
        _, folder = blocked
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "<title>Blocked – model.keras</title>" in page
        assert 'id="calibration"' in page
        assert 'id="changes"' in page
        assert "src=" not in page

    def test_passes_when_mended(self, problem):
        done = problem(majority_class, mended=True).check()
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.strip().startswith("PASSED  model.keras")


class TestOverfitMlp:
    @pytest.mark.parametrize(
        ("model", "more"),
        [("model.keras", ()), ("saved", ("--keras", "model.keras"))],
        ids=["keras-file", "saved-model"],
    )
    def test_is_blocked(self, problem, model, more):
        made = problem(overfit_mlp)
        folder = made.model.parent
        more = [str(folder / text) if "." in text else text for text in more]
        done = made.check("--format", "json", *more, model=folder / model)
        assert first_cause(done) == "overfit"

    def test_passes_when_mended(self, problem):
        done = problem(overfit_mlp, mended=True).check("--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["blessed"] is True

    def test_a_limit_of_ones_own_counts(self, problem, tmp_path):
        config = tmp_path / "guard.yaml"
        config.write_text("evaluation: {min_accuracy: 0.99}\n")
        made = problem(overfit_mlp, mended=True)
        done = made.check("--config", str(config), "--format", "json")
        assert first_cause(done) == "below_threshold"

    def test_a_label_that_is_not_there_is_wrong_use(self, problem):
        done = problem(overfit_mlp).check("--label", "species")
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("tfx-guard: ")
        assert done.stderr.count("\n") == 1
        assert "species" in done.stderr


class TestResNet:
    def test_is_blocked_for_its_batchnorm(self, problem):
        done = problem(batchnorm_gap).check("--format", "json")
        assert first_cause(done) == "mode_gap"
        first = json.loads(done.stdout)["findings"][0]
        assert "batch_normalization" in first["message"]

    def test_is_blocked_on_three_images_as_in_the_question(self, problem):
        done = problem(three_images).check("--format", "json")
        assert first_cause(done) == "mode_gap"
        assert {"mode_gap", "insufficient_evidence"} <= blocking(done)

    def test_passes_when_mended(self, problem):
        done = problem(batchnorm_gap, mended=True).check("--format", "junit")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ElementTree.fromstring(done.stdout).get("failures") == "0"
