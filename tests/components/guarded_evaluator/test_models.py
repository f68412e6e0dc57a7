# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_evaluator import models
from components.records.model_card import MODEL_CARD_FILE


def candidate(model_uri):
    return models.serving_model("candidate", f"{model_uri}/Format-Serving")


def modes_of(model_uri):
    return models.modes(f"{model_uri}/Format-TFMA")


def test_a_model_with_a_label_beside_its_probabilities_is_asked_for_those(
    models_on_disk,
):
    model = candidate(models_on_disk("labelled", "right").uri)
    assert (model.name, model.signature) == ("candidate", "serving_default")
    assert model.prediction_key == "probabilities"
    assert model.path.endswith("Format-Serving")
    assert models.num_outputs(model) == 3


def test_the_only_output_needs_no_name(models_on_disk):
    model = models.serving_model(
        "baseline", models_on_disk("right").uri + "/Format-Serving"
    )
    assert (model.name, model.prediction_key) == ("baseline", "")
    assert models.integer_labels(model) == (0, 1, 2)


def test_the_copy_for_judging_is_asked_in_both_training_modes(models_on_disk):
    folder = models_on_disk("labelled", "right").uri
    modes = modes_of(folder)
    assert [mode.name for mode in modes] == ["training", "batch_statistics"]
    assert {mode.path for mode in modes} == {f"{folder}/Format-TFMA"}
    assert [mode.signature for mode in modes] == ["training", "batch_statistics"]
    assert models.model_card(f"{folder}/Format-TFMA").labels == (0, 1, 2)


def test_a_stock_model_has_no_modes(models_on_disk, tmp_path, save_signatures, answers):
    assert modes_of(models_on_disk("right").uri) == []
    # TFX's own trainers may leave a model without a card in the same place.
    save_signatures(tmp_path / "Format-TFMA", {"eval": answers["right"]})
    assert modes_of(str(tmp_path)) == []


def test_a_copy_without_its_modes_is_refused(tmp_path, make_model, answers):
    model = make_model(tmp_path, answers["right"], {"training": answers["right"]})
    with pytest.raises(InputError, match="'batch_statistics', but the model has trai"):
        modes_of(model.uri)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("one", r"answers \(None, 1\); export a model with one probability per"),
        ("flat", r"answers \(None,\)"),
    ],
)
def test_outputs_that_are_not_one_per_class_are_refused(models_on_disk, kind, message):
    model = candidate(models_on_disk(kind).uri)
    with pytest.raises(InputError, match=message):
        models.num_outputs(model)


def test_several_outputs_without_probabilities_are_refused(models_on_disk):
    with pytest.raises(InputError, match="'probabilities', but signature .* has a, b"):
        candidate(models_on_disk("unknown").uri)


def test_a_missing_signature_is_refused(tmp_path, save_signatures, answers):
    save_signatures(tmp_path / "Format-Serving", {"predict": answers["right"]})
    with pytest.raises(InputError, match="'serving_default', but the model has predic"):
        candidate(str(tmp_path))


def test_a_signature_that_does_not_take_examples_is_refused(tmp_path):
    module = tf.Module()
    module.double = tf.function(
        lambda x: {"output": 2 * x},
        input_signature=[tf.TensorSpec((None, 3), tf.float32)],
    )
    tf.saved_model.save(
        module, str(tmp_path / "Format-Serving"), {"serving_default": module.double}
    )
    with pytest.raises(InputError, match="it takes 1 inputs of types .'DT_FLOAT'"):
        candidate(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", '{"label_key": 3}', ""])
def test_a_damaged_card_is_refused(tmp_path, text):
    card = tmp_path / MODEL_CARD_FILE
    card.parent.mkdir()
    card.write_text(text)
    with pytest.raises(InputError, match=r"expected the card .*; export the model aga"):
        models.model_card(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda graph: graph[: len(graph) // 2], "DecodeError"),
        (lambda graph: graph[:-1], "DecodeError"),
        (lambda graph: b"", "tagged 'serve', but there is none"),
        (None, "FileNotFoundError"),
    ],
)
def test_a_damaged_graph_is_refused(models_on_disk, tmp_path, content, message):
    whole = Path(models_on_disk("right").uri, "Format-Serving", "saved_model.pb")
    folder = tmp_path / "Format-Serving"
    folder.mkdir()
    if content:
        (folder / "saved_model.pb").write_bytes(content(whole.read_bytes()))
    with pytest.raises(InputError, match=message):
        candidate(str(tmp_path))


def keras_layers():
    import keras

    frozen = keras.layers.Dense(4)
    frozen.trainable = False
    adapted = keras.layers.Normalization(mean=[1.0] * 4, variance=[2.0] * 4)
    learnt = keras.layers.Normalization(name="normalization")
    learnt.adapt(np.ones((3, 4), np.float32))
    renamed = keras.layers.Normalization(name="statistics")
    renamed.adapt(np.ones((3, 4), np.float32))
    frozen_norm = keras.layers.BatchNormalization()
    frozen_norm.trainable = False
    return {
        "dense": (keras.layers.Dense(4), True),
        "dropout": (keras.layers.Dropout(0.5), True),
        "layer normalisation": (keras.layers.LayerNormalization(), True),
        "frozen": (frozen, True),
        "given statistics": (adapted, True),
        "adapted statistics": (learnt, True),
        "statistics under another name": (renamed, False),
        "batch normalisation": (keras.layers.BatchNormalization(), False),
        "frozen batch normalisation": (frozen_norm, False),
        "no weights of its own": (
            keras.layers.BatchNormalization(scale=False, center=False),
            False,
        ),
        "spectral": (
            keras.layers.SpectralNormalization(keras.layers.Dense(4)),
            False,
        ),
    }


def test_moving_state_is_told_from_weights(tmp_path):
    import keras

    for name, (layer, expected) in keras_layers().items():
        model = keras.Sequential(
            [keras.Input((4,)), layer, keras.layers.Dense(3, activation="softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        model.train_on_batch(np.ones((8, 4)), np.zeros(8))
        # With the optimizer's state.
        tf.saved_model.save(model, str(tmp_path / name))
        assert models.has_no_moving_state(str(tmp_path / name)) is expected, name


def test_of_constants_nobody_can_tell(tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 2, 3), tf.float32)])
    def normalise(images):
        one = tf.ones(3)
        return tf.compat.v1.nn.fused_batch_norm(
            images, one, one, mean=one, variance=one, is_training=False
        )[0]

    module.normalise = normalise
    tf.saved_model.save(module, str(tmp_path / "constants"))
    assert not models.has_no_moving_state(str(tmp_path / "constants"))
    module.weights = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "weights"))
    assert not models.has_no_moving_state(str(tmp_path / "weights"))


def test_moving_state_of_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="FileNotFoundError"):
        models.has_no_moving_state(str(tmp_path))


def test_reading_models_loads_neither_tfx_nor_tfma():
    code = (
        "import sys; from components.guarded_evaluator import models, slicing, asking;"
        "from components.guarded_evaluator.perturbing import survey;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('tfx', 'tensorflow_model_analysis')])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
