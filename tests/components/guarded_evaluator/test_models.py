# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_evaluator import models


def test_a_model_with_a_label_beside_its_probabilities_is_asked_for_those(
    models_on_disk,
):
    model = models.candidate(models_on_disk("labelled", "right").uri)
    assert (model.name, model.signature) == ("candidate", "serving_default")
    assert model.prediction_key == "probabilities"
    assert model.path.endswith("Format-Serving")
    assert models.num_outputs(model) == 3


def test_the_only_output_needs_no_name(models_on_disk):
    model = models.baseline(models_on_disk("right").uri)
    assert (model.name, model.prediction_key) == ("baseline", "")
    assert models.integer_labels(model) == (0, 1, 2)


def test_the_copy_for_judging_is_asked_in_both_training_modes(models_on_disk):
    folder = models_on_disk("labelled", "right").uri
    modes = models.modes(folder)
    assert [mode.name for mode in modes] == ["training", "batch_statistics"]
    assert {mode.path for mode in modes} == {f"{folder}/Format-TFMA"}
    assert [mode.signature for mode in modes] == ["training", "batch_statistics"]
    assert models.model_card(folder).labels == (0, 1, 2)


def test_a_stock_model_has_no_modes(models_on_disk, tmp_path, save_signatures, answers):
    assert models.modes(models_on_disk("right").uri) == []
    # TFX's own trainers may leave a model without a card in the same place.
    save_signatures(tmp_path / "Format-TFMA", {"eval": answers["right"]})
    assert models.modes(str(tmp_path)) == []


def test_a_copy_without_its_modes_is_refused(tmp_path, make_model, answers):
    model = make_model(tmp_path, answers["right"], {"training": answers["right"]})
    with pytest.raises(InputError, match="'batch_statistics', but the model has trai"):
        models.modes(model.uri)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("one", r"answers \(None, 1\); export a model with one probability per"),
        ("flat", r"answers \(None,\)"),
    ],
)
def test_outputs_that_are_not_one_per_class_are_refused(models_on_disk, kind, message):
    model = models.candidate(models_on_disk(kind).uri)
    with pytest.raises(InputError, match=message):
        models.num_outputs(model)


def test_several_outputs_without_probabilities_are_refused(models_on_disk):
    with pytest.raises(InputError, match="'probabilities', but signature .* has a, b"):
        models.candidate(models_on_disk("unknown").uri)


def test_a_missing_signature_is_refused(tmp_path, save_signatures, answers):
    save_signatures(tmp_path / "Format-Serving", {"predict": answers["right"]})
    with pytest.raises(InputError, match="'serving_default', but the model has predic"):
        models.candidate(str(tmp_path))


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
        models.candidate(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda graph: graph[: len(graph) // 2], "DecodeError"),
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
        models.candidate(str(tmp_path))
