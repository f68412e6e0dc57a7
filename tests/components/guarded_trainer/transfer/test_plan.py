# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from components.errors import InputError
from components.guarded_trainer.transfer import plan
from components.guarded_trainer.transfer.settings import TransferConfig


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)


def test_the_model_is_preprocessing_base_pooling_and_head(make_plan, pixels):
    made = make_plan()
    prepared = keras.applications.mobilenet.preprocess_input(pixels.copy())
    features = np.asarray(made.base(prepared, training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(made.extractor(pixels), features, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        made.classifier(features), made.model.layers[-1](features)
    )
    np.testing.assert_allclose(
        made.model(pixels), made.classifier(features), rtol=1e-4, atol=1e-6
    )
    assert made.model.output_shape == (None, 3)


def test_the_model_is_saved_and_loaded_without_code(make_plan, pixels, tmp_path):
    made = make_plan()
    made.model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(pixels), made.model(pixels))


def test_grey_pictures_are_repeated(make_plan, pixels):
    grey = pixels[..., :1]
    made = make_plan(shape=(32, 32, 1))
    rgb = make_plan(shape=(32, 32, 3))
    rgb.model.set_weights(made.model.get_weights())
    np.testing.assert_array_equal(made.model(grey), rgb.model(np.repeat(grey, 3, -1)))


def test_head_and_pooling_are_as_asked_for(make_plan):
    made = make_plan(hidden_units=(8, 4), dropout=0.5, pooling="max", num_classes=5)
    kinds = [type(layer).__name__ for layer in made.classifier.layers]
    assert kinds == ["InputLayer", *["Dropout", "Dense"] * 3]
    assert [layer.rate for layer in made.classifier.layers[1::2]] == [0.5] * 3
    assert [layer.units for layer in made.classifier.layers[2::2]] == [8, 4, 5]
    assert isinstance(made.model.get_layer("pooling"), keras.layers.GlobalMaxPooling2D)


def test_probabilities_and_pixels_stay_float32_in_half_precision(make_plan):
    keras.config.set_dtype_policy("mixed_bfloat16")
    made = make_plan(shape=(32, 32, 1))
    assert made.base.compute_dtype == "bfloat16"
    assert made.model.inputs[0].dtype == "float32"
    assert made.model.get_layer("rgb").compute_dtype == "float32"
    assert made.model.outputs[0].dtype == "float32"


def test_random_weights_leave_nothing_to_unfreeze(make_plan):
    assert make_plan().stages == ()


def test_pretrained_weights_are_loaded(make_plan, tmp_path):
    source = make_plan(seed=1)
    path = str(tmp_path / "a.weights.h5")
    source.model.save_weights(path)
    made = make_plan(seed=2, weights=path, unfreeze=1)
    for ours, theirs in zip(made.base.weights, source.base.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [stage[0].name for stage in made.stages] == ["conv_dw_12"]


def test_numeric_features_are_no_pictures(make_plan):
    with pytest.raises(InputError, match=r"inputs are of shape \(4,\); name the pict"):
        make_plan(shape=(4,))
    with pytest.raises(InputError, match=r"1 or 3"):
        make_plan(shape=(32, 32, 4))


def test_names_and_files_are_checked_without_building(tmp_path):
    def check(**changes):
        plan.check(TransferConfig(**{"backbone": "MobileNet", **changes}))

    check()
    for wrong in (
        {"backbone": "MobileNot"},
        {"options": {"beta": 1}},
        {"weights": "gone.h5"},
    ):
        with pytest.raises(InputError):
            check(**wrong)
