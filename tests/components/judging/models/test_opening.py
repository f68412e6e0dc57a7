# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from components.errors import InputError
from components.judging.models.asked import COPY
from components.judging.models.functions import FunctionModel
from components.judging.models.in_memory import KerasModel
from components.judging.models.opening import open_model
from components.judging.models.saved_models import SavedModel
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)


@pytest.fixture(scope="module")
def x(blobs):
    return blobs[0][0][:40]


@pytest.fixture(scope="module")
def saved(tmp_path_factory, lagging):
    """The same model in both forms."""
    folder = tmp_path_factory.mktemp("saved")
    lagging.save(folder / "model.keras")
    lagging.export(str(folder / "model"), verbose=False)
    return folder


def test_each_kind_of_model_is_opened(saved, lagging, x):
    assert isinstance(open_model(lagging, lambda: x), KerasModel)
    assert isinstance(open_model(lagging.predict, lambda: x), KerasModel)
    assert isinstance(open_model(lambda rows: rows, lambda: x), FunctionModel)
    assert isinstance(open_model(saved / "model.keras"), KerasModel)
    assert isinstance(open_model(str(saved / "model")), SavedModel)


def test_a_file_answers_as_the_model_in_memory(saved, lagging, x):
    ours, theirs = open_model(saved / "model.keras"), open_model(lagging, lambda: x)
    for mode in (CANDIDATE, BATCH_STATISTICS_MODE):
        np.testing.assert_array_equal(ours.ask(mode, x), theirs.ask(mode, x))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_saved_model_borrows_the_modes_of_its_keras_file(
    saved, lagging, x, in_memory
):
    beside = lagging if in_memory else saved / "model.keras"
    model = open_model(saved / "model", lambda: x, beside=beside)
    assert model.modes == (COPY, TRAINING_MODE, BATCH_STATISTICS_MODE)
    np.testing.assert_allclose(model.ask(COPY, x), model.ask(CANDIDATE, x), atol=1e-6)
    gap = model.ask(BATCH_STATISTICS_MODE, x) - model.ask(CANDIDATE, x)
    assert np.abs(gap).max() > 0.1
    assert len(model.drift([x])) == 1
    assert (model.spec.num_classes, model.labels, model.batch_size) == (3, (), None)
    assert model.rounding == pytest.approx(1e-3)
    assert not model.takes_examples(CANDIDATE)


def test_a_keras_file_of_other_classes_is_refused(saved, tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    model.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="expected the 3 classes.*answers 5"):
        open_model(saved / "model", beside=tmp_path / "other.keras")


def test_a_keras_file_beside_one_that_needs_none_is_refused(saved):
    path = saved / "model.keras"
    with pytest.raises(
        InputError, match="keras_model: expected it beside a SavedModel"
    ):
        open_model(path, beside=path)
    with pytest.raises(InputError, match="keras_model: expected a Keras model"):
        open_model(saved / "model", beside=saved / "model")


def test_a_signature_of_what_has_none_is_refused(saved, lagging, x):
    for model in (saved / "model.keras", lagging):
        with pytest.raises(
            InputError, match="signature: expected it with a SavedModel"
        ):
            open_model(model, lambda: x, signature="serve")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model.h5", "HDF5 of older versions"),
        ("MODEL.HDF5", "HDF5 of older versions"),
        ("model.pkl", "a pickle, which runs code"),
        ("model.joblib", "a pickle, which runs code"),
        ("model.pt", "a pickle of another framework"),
        ("model.onnx", "another framework"),
        ("model.tflite", "TensorFlow Lite"),
    ],
)
def test_other_formats_are_refused_with_a_way_out(tmp_path, name, why):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(InputError, match=rf"{name}: expected.*{why}.*save it with"):
        open_model(tmp_path / name)


@pytest.mark.parametrize("model", [3, None, np.ones(3)])
def test_what_is_no_model_is_refused(model, x):
    with pytest.raises(InputError, match=r"model: expected a keras\.Model"):
        open_model(model, lambda: x)


@pytest.mark.parametrize("shape", [(None, None, 3), (28, 28, 1), (None,)])
def test_files_of_pictures_and_sequences_of_any_size_are_opened(tmp_path, shape):
    inputs = keras.Input(shape)
    layers = keras.layers
    if len(shape) == 3:
        hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    else:
        hidden = layers.GlobalAveragePooling1D()(layers.Embedding(9, 4)(inputs))
    path = tmp_path / "model.keras"
    keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden)).save(path)
    model = open_model(path)
    assert model.spec.num_classes == 2
    assert model.spec.inputs[0].shape == shape
