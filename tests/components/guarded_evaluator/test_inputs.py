# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from tfx.types import standard_artifacts

from components import artifact_io
from components.artifacts import ClassWeights, GuardFindings
from components.errors import InputError
from components.findings import Verdict, find
from components.guarded_evaluator import inputs
from components.labels import ClassTable


@pytest.fixture
def class_weights(tmp_path):
    def make(*labels, label_key="label"):
        artifact = ClassWeights()
        artifact.uri = str(tmp_path / "class_weights")
        table = ClassTable(
            label_key=label_key,
            labels=labels,
            train_counts=(5,) * len(labels),
            weights=(1.0,) * len(labels),
        )
        artifact_io.write_class_table(artifact, table)
        return artifact

    return make


def given(**artifacts):
    return {name: [artifact] for name, artifact in artifacts.items()}


def test_labels_are_those_of_the_copy_for_judging(models_on_disk, class_weights):
    model = models_on_disk("labelled", "right")
    assert inputs.class_labels(given(model=model), "label") == (0, 1, 2)
    agreed = given(model=model, class_weights=class_weights(0, 1, 2))
    assert inputs.class_labels(agreed, "label") == (0, 1, 2)


def test_labels_of_a_stock_model_are_those_of_the_class_weights(
    models_on_disk, class_weights
):
    stock = given(model=models_on_disk("right"), class_weights=class_weights(4, 5, 9))
    assert inputs.class_labels(stock, "label") == (4, 5, 9)


def test_labels_that_nobody_names_count_from_zero(models_on_disk):
    assert inputs.class_labels(given(model=models_on_disk("four")), "any") == (
        *range(4),
    )


@pytest.mark.parametrize(
    ("labels", "label_key", "message"),
    [
        ((0, 1, 3), "label", "3 classes of `class_weights`, but it knows 3 others"),
        ((2, 1, 0), "label", "or in another order"),
        ((0, 1, 2), "digit", "'digit', the label that was weighed on, but got 'label'"),
    ],
)
def test_contradictions_are_refused(
    models_on_disk, class_weights, labels, label_key, message
):
    contradiction = given(
        model=models_on_disk("labelled", "right"),
        class_weights=class_weights(*labels, label_key=label_key),
    )
    with pytest.raises(InputError, match=message):
        inputs.class_labels(contradiction, "label")


def test_a_label_key_that_the_model_was_not_trained_on_is_refused(models_on_disk):
    model = models_on_disk("labelled", "right")
    with pytest.raises(InputError, match="'label', the label that the model was train"):
        inputs.class_labels(given(model=model), "digit")


def test_a_model_with_more_outputs_than_classes_is_refused(
    models_on_disk, class_weights
):
    stock = given(model=models_on_disk("four"), class_weights=class_weights(0, 1, 2))
    with pytest.raises(InputError, match="each of the 3 classes, but the model has 4"):
        inputs.class_labels(stock, "label")


def test_a_marker_of_no_model_in_production_is_no_baseline(tmp_path, models_on_disk):
    marker = standard_artifacts.Model()
    marker.uri = str(tmp_path)
    (tmp_path / "NO_BLESSED_MODEL").write_text("No model.")
    assert inputs.baseline(given(baseline_model=marker)) is None
    assert inputs.baseline({}) is None
    assert inputs.baseline({"baseline_model": []}) is None
    model = models_on_disk("right")
    assert inputs.baseline(given(baseline_model=model)) is model


def test_a_damaged_baseline_is_not_taken_for_none(tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path)
    (tmp_path / "Format-Serving").mkdir()
    assert inputs.baseline(given(baseline_model=model)) is model
    with pytest.raises(InputError, match="cannot be read"):
        inputs.incomparable(model, (0, 1))


def test_models_of_the_same_classes_are_comparable(models_on_disk):
    assert inputs.incomparable(None, (0, 1, 2)) == ()
    assert inputs.incomparable(models_on_disk("right"), ("a", "b", "c")) == ()
    assert inputs.incomparable(models_on_disk("labelled", "right"), (0, 1, 2)) == ()


@pytest.mark.parametrize("labels", [(0, 1), (1, 2, 3)])
def test_models_of_other_classes_are_not(models_on_disk, labels):
    [finding] = inputs.incomparable(models_on_disk("labelled", "right"), labels)
    assert not finding.blocks
    assert "not compared" in finding.message


@pytest.mark.parametrize(("served", "comparable"), [("abc", True), ("cba", False)])
def test_the_passport_tells_the_classes_of_a_model_without_a_card(
    models_on_disk, served, comparable
):
    old = standard_artifacts.Model()
    old.uri = models_on_disk("right").uri
    old.set_string_custom_property("class_names", json.dumps(list(served)))
    findings = inputs.incomparable(old, ("a", "b", "c"))
    assert (findings == ()) is comparable
    assert not any(finding.blocks for finding in findings)


def test_upstream_findings_are_read_where_they_are_wired(tmp_path):
    sound, broken = GuardFindings(), GuardFindings()
    sound.uri, broken.uri = str(tmp_path / "sound"), str(tmp_path / "broken")
    found = find("missing_class", "c is absent")
    artifact_io.write_findings(sound, Verdict.of([found]))
    assert inputs.read_upstream({}) == ()
    read = inputs.read_upstream(
        given(class_balance_findings=sound, leakage_findings=broken)
    )
    assert read[0] == found
    assert (read[1].cause, read[1].blocks) == ("check_failed", True)
    assert read[1].found_by == "GuardedEvaluator: reading leakage_findings"


def test_a_stock_training_run_has_no_record(tmp_path):
    run = standard_artifacts.ModelRun()
    run.uri = str(tmp_path)
    assert inputs.training_record(given(model_run=run)) is None
    assert inputs.training_record({}) is None
    (tmp_path / "training_record.json").write_text("{")
    with pytest.raises(InputError, match="training_record.json: .*TrainingRecord"):
        inputs.training_record(given(model_run=run))


def test_every_artifact_of_a_split_is_read(examples):
    patterns = inputs.split_patterns({"examples": [examples, examples]}, ("eval",))
    assert patterns == {"eval": [f"{examples.uri}/Split-eval/*"] * 2}


def test_a_split_that_does_not_exist_is_refused(examples):
    with pytest.raises(ValueError, match="test"):
        inputs.split_patterns({"examples": [examples]}, ("test",))
