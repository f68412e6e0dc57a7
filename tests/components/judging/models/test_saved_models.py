# SPDX-License-Identifier: Apache-2.0
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.judging.models.asked import COPY
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
def exported(tmp_path_factory, lagging):
    folder = tmp_path_factory.mktemp("exported") / "model"
    lagging.export(str(folder), verbose=False)
    return folder


@pytest.fixture
def save(tmp_path):
    """Saves a function of tensors as the signature of a model."""

    def write(function, *specs, name="serving_default"):
        module = tf.Module()
        traced = tf.function(function, input_signature=specs)
        tf.saved_model.save(module, str(tmp_path / "model"), signatures={name: traced})
        return tmp_path / "model"

    return write


def spec(*shape, dtype=tf.float32, name=None):
    return tf.TensorSpec((None, *shape), dtype, name=name)


def softmax(x):
    return {"output": tf.nn.softmax(x)}


def refusal(folder, **options):
    with pytest.raises(InputError) as raised:
        SavedModel(folder, **options)
    assert str(raised.value).startswith(str(folder))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_export_of_keras_answers_as_the_model_does(exported, lagging, x):
    model = SavedModel(exported)
    np.testing.assert_allclose(model.ask(CANDIDATE, x), lagging(x), atol=1e-6)
    assert model.spec.num_classes == 3
    assert not model.spec.takes_examples
    assert model.spec.inputs[0].shape == (3,)


def test_an_export_of_keras_has_no_training_mode_and_says_why(exported):
    model = SavedModel(exported)
    assert model.modes == ()
    assert "has no signature in training mode" in model.modes_missing_because
    assert not model.has_no_modes
    assert model.drift([]) == ()


def test_without_moving_statistics_there_is_no_mode_to_miss(tmp_path, corners):
    corners.export(str(tmp_path / "model"), verbose=False)
    model = SavedModel(tmp_path / "model")
    assert model.has_no_modes
    assert model.modes_missing_because == ""


def test_a_single_signature_is_asked_whatever_its_name(save, x):
    folder = save(softmax, spec(3), name="predict")
    assert SavedModel(folder).ask(CANDIDATE, x).shape == (40, 3)
    assert SavedModel(folder, signature="predict").spec.num_classes == 3


def test_an_unknown_signature_is_refused_with_those_there_are(exported):
    message = refusal(exported, signature="classify")
    assert "the model has 'serve', 'serving_default'" in message


def test_parsing_signatures_are_told_from_those_of_texts(save, x, tmp_path):
    def parse(serialized):
        features = {"x": tf.io.FixedLenFeature((3,), tf.float32)}
        return softmax(tf.io.parse_example(serialized, features)["x"])

    model = SavedModel(save(parse, spec(dtype=tf.string, name="examples")))
    assert model.spec.takes_examples
    assert model.takes_examples(CANDIDATE)
    with pytest.raises(InputError, match="cannot be asked.*x"):
        model.ask(CANDIDATE, [tf.train.Example().SerializeToString()])


def test_texts_are_inputs_like_others(save):
    def lengths(texts):
        return softmax(tf.cast(tf.stack([tf.strings.length(texts)] * 2, 1), tf.float32))

    model = SavedModel(save(lengths, spec(dtype=tf.string)))
    assert not model.spec.takes_examples
    assert model.ask(CANDIDATE, np.array(["a", "bc"], object)).shape == (2, 2)


def test_several_inputs_are_matched_by_name(save, x):
    folder = save(lambda a, b: softmax(a + b), spec(3, name="a"), spec(3, name="b"))
    model = SavedModel(folder)
    got = model.ask(CANDIDATE, {"b": np.zeros_like(x), "a": x})
    np.testing.assert_allclose(got, tf.nn.softmax(x), atol=1e-6)
    for given in ({"a": x, "c": x}, (x, x), x):
        with pytest.raises(InputError, match="expected the inputs a, b"):
            model.ask(CANDIDATE, given)


def test_numbers_are_brought_into_the_type_that_is_wanted(save):
    model = SavedModel(
        save(lambda ids: softmax(tf.one_hot(ids, 3)), spec(dtype=tf.int64))
    )
    assert model.ask(CANDIDATE, np.array([0.0, 2.0])).argmax(axis=1).tolist() == [0, 2]
    assert model.ask(CANDIDATE, np.array([1], np.uint8)).argmax(axis=1).tolist() == [1]


@pytest.mark.parametrize(
    "given", [np.array([0.5]), np.array([np.nan]), np.array(["a"], object)]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_what_is_no_integer_is_refused_where_one_is_wanted(save, given):
    model = SavedModel(
        save(lambda ids: softmax(tf.one_hot(ids, 3)), spec(dtype=tf.int64))
    )
    with pytest.raises(InputError, match="expected numbers of type int64"):
        model.ask(CANDIDATE, given)


def test_data_of_another_shape_are_refused_in_one_line(exported):
    with pytest.raises(InputError, match="cannot be asked") as raised:
        SavedModel(exported).ask(CANDIDATE, np.ones((4, 7), np.float32))
    assert "\n" not in str(raised.value)


def test_a_model_that_calls_python_code_is_refused(save):
    def call(x):
        return {
            "output": tf.ensure_shape(
                tf.numpy_function(np.abs, [x], x.dtype), (None, 3)
            )
        }

    message = refusal(save(call, spec(3)))
    assert "Python code" in message


def test_outputs_of_another_shape_are_refused(save):
    message = refusal(save(lambda x: {"output": x[:, None]}, spec(3)))
    assert "expected outputs of shape (batch, number of classes)" in message


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data*"],
)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_model_that_is_cut_off_is_refused(exported, tmp_path, name, share):
    folder = tmp_path / "cut"
    shutil.copytree(exported, folder)
    (path,) = folder.glob(name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "can load" in refusal(folder) or "signature" in refusal(folder)


def test_a_folder_without_a_model_is_refused(tmp_path, exported):
    assert "there is none;" in refusal(tmp_path)
    assert "there is nothing" in refusal(tmp_path / "absent")
    (tmp_path / "file").write_text("no model")
    assert "there is a file" in refusal(tmp_path / "file")
    assert "judge one of those, such as" in refusal(exported.parent)


@pytest.fixture(scope="module")
def of_keras_2(tmp_path_factory):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((3,)),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[0].moving_mean.assign([4.0, 0.0, -4.0])
    folder = tmp_path_factory.mktemp("keras2") / "model"
    model.save(folder, save_format="tf")
    return folder


@pytest.mark.slow  # The import of Keras 2 alone takes many seconds.
def test_the_training_mode_that_keras_2_saves_is_asked_without_a_trace(of_keras_2, x):
    model = SavedModel(of_keras_2)
    assert model.modes == (COPY, TRAINING_MODE)
    before = model.ask(CANDIDATE, x)
    first = model.ask(TRAINING_MODE, x)
    np.testing.assert_array_equal(first, model.ask(TRAINING_MODE, x))
    np.testing.assert_array_equal(before, model.ask(CANDIDATE, x))
    np.testing.assert_allclose(before, model.ask(COPY, x), atol=1e-6)
    assert np.abs(first - before).max() > 0.1


@pytest.fixture(scope="module")
def of_trainer(tmp_path_factory, lagging, x):
    """What the GuardedTrainer exports: a model, and a copy for judging beside it."""
    from components.guarded_trainer import export, modes
    from components.guarded_trainer.head import read_head
    from components.records.model_card import ModelCard

    class Parser:
        @staticmethod
        def parse(serialized):
            features = {"x": tf.io.FixedLenFeature((3,), tf.float32)}
            return tf.io.parse_example(serialized, features)["x"]

    folder = tmp_path_factory.mktemp("trained")
    head, _ = read_head(lagging, 3, x[:4])
    card = ModelCard(label_key="kind", labels=("a", "b", "c"), batch_size=17)
    serving, judging = (str(folder / f"Format-{n}") for n in ("Serving", "TFMA"))
    export.export_serving(lagging, head, Parser, card.labels, serving)
    layers = modes.adaptive_layers(lagging, x[:4])
    export.export_judging(lagging, head, Parser, layers, card, judging)
    return folder


@pytest.mark.parametrize("below", ["", "Format-Serving"])
def test_the_copy_for_judging_lends_its_modes(of_trainer, x, below):
    examples = []
    for row in x:
        example = tf.train.Example()
        example.features.feature["x"].float_list.value.extend(row)
        examples.append(example.SerializeToString())
    model = SavedModel(of_trainer / below)
    assert model.modes == (COPY, TRAINING_MODE, BATCH_STATISTICS_MODE)
    assert (model.labels, model.batch_size) == (("a", "b", "c"), 17)
    answers = {mode: model.ask(mode, examples) for mode in model.modes}
    served = model.ask(CANDIDATE, examples)
    np.testing.assert_allclose(answers[COPY], served, atol=1e-6)
    assert np.abs(answers[BATCH_STATISTICS_MODE] - served).max() > 0.1


def test_half_precision_may_round_further(tmp_path, exported):
    with_half = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, dtype="mixed_bfloat16")]
    )
    with_half.export(str(tmp_path / "half"), verbose=False)
    assert SavedModel(tmp_path / "half").rounding > SavedModel(exported).rounding
