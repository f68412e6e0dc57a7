# SPDX-License-Identifier: Apache-2.0
import hashlib
import zipfile

import h5py
import keras
import numpy as np
import pytest

from components.errors import InputError
from components.guarded_trainer.transfer import pretrained


def small(seed, width=4, include_top=False):
    """A base like those of Keras: without names of its own for some layers."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, name="conv1")(inputs)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.SeparableConv2D(5, 3)(layers.Activation("relu")(x))
    x = layers.BatchNormalization()(x)
    if include_top:
        x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
        x = layers.Dense(7, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="small")


@pytest.fixture(scope="module")
def source():
    return small(1)


@pytest.fixture(scope="module")
def topped():
    """With its top, whose weights come last."""
    return small(2, include_top=True)


@pytest.fixture(scope="module")
def classifier(source):
    """A larger model that the backbone is a part of."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            source,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def save(model, path, trained=False):
    if trained:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
    (model.save_weights if ".weights." in path.name else model.save)(path)
    return str(path)


def assert_same(base, source):
    for came, expected in zip(base.get_weights(), source.get_weights(), strict=False):
        np.testing.assert_array_equal(came, expected)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.h5"])
@pytest.mark.parametrize("which", ["source", "topped"])
def test_every_format_is_read_with_and_without_top(name, which, tmp_path, request):
    saved = request.getfixturevalue(which)
    base = small(3)
    pretrained.load(base, save(saved, tmp_path / name))
    assert_same(base, saved)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_the_backbone_may_be_a_part_of_a_trained_model(name, tmp_path, classifier):
    path = save(classifier, tmp_path / name, trained=True)
    base = small(3)
    pretrained.load(base, path)
    assert_same(base, classifier.layers[1])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.h5"])
def test_another_architecture_is_told_by_its_layers(name, tmp_path):
    path = save(small(1, width=6), tmp_path / name)
    with pytest.raises(InputError) as raised:
        pretrained.load(small(3), path)
    message = str(raised.value)
    assert message.startswith(f"{path}: expected the weights of small (without")
    assert "came as" in message
    assert "3 of its 4 layers disagree: conv1 (3x3x3x4, 4) came as" in message
    assert "conv1 (3x3x3x6, 6)" in message
    assert "\n" not in message


def test_a_larger_model_of_the_same_family_is_refused(tmp_path):
    layers = keras.layers

    def chain(depth):
        return keras.Sequential(
            [keras.Input((4,)), *[layers.Dense(5) for _ in range(depth)]]
        )

    path = save(chain(2), tmp_path / "a.weights.h5")
    with pytest.raises(InputError, match=r"1 of its 3 layers.*is not in the file"):
        pretrained.load(chain(3), path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.weights.h5", b"no weights"),
        ("a.keras", b""),
        ("a.pt", b"\x80\x04pickle"),
    ],
)
def test_what_is_no_weights_file_is_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\..*expected a `.keras`.*save_weights"):
        pretrained.load(small(3), str(path))


def test_an_archive_without_weights_is_refused(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"cannot be read.*model\.weights\.h5"):
        pretrained.load(small(3), str(path))


def test_no_code_of_a_file_is_run(tmp_path, source):
    path = tmp_path / "a.keras"
    save(source, path)
    evil = tmp_path / "evil.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        new.writestr("config.json", "this is no configuration")
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    base = small(3)
    pretrained.load(base, str(evil))
    assert_same(base, source)


def test_an_empty_file_of_weights_is_refused(tmp_path):
    path = tmp_path / "a.weights.h5"
    h5py.File(path, "w").close()
    with pytest.raises(InputError, match="holds no layer"):
        pretrained.load(small(3), str(path))


def test_broken_weights_are_refused(tmp_path):
    broken = small(1)
    broken.weights[0].assign(np.full(broken.weights[0].shape, np.nan))
    path = save(broken, tmp_path / "a.weights.h5")
    with pytest.raises(InputError, match=r"expected finite weights, but conv1/kernel"):
        pretrained.load(small(3), path)


def test_a_missing_file_is_named():
    pretrained.require(None)
    for use in (pretrained.require, pretrained.digest):
        with pytest.raises(InputError, match=r"no file 'gone\.h5'; correct the path"):
            use("gone.h5")
    with pytest.raises(InputError, match=r"no file 'gone\.h5'"):
        pretrained.load(small(3), "gone.h5")


def test_a_digest_tells_files_apart(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"x")
    assert pretrained.digest(str(path)) == hashlib.sha256(b"x").hexdigest()
    assert pretrained.digest(None) == ""
