# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2
from tfx.types import standard_artifacts

from components import artifact_io
from components.causes import Severity
from components.digest import model_digest
from components.findings import find
from components.guarded_evaluator.executor import Executor
from components.guarded_evaluator.perturbing import survey
from components.records.evaluation import BASELINE
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord


def test_a_healthy_model_is_blessed(healthy_run, models_on_disk):
    model = models_on_disk("labelled", "right")
    assert healthy_run.blessed
    assert healthy_run.verdict.findings == ()
    digest = model_digest(f"{model.uri}/Format-Serving")
    get = healthy_run.blessing.get_string_custom_property
    assert healthy_run.record.model_sha256 == get("model_sha256") == digest
    assert get("current_model") == model.uri
    assert get("baseline_model") == models_on_disk("drifted and labelled").uri
    assert json.loads(get("reasons")) == []
    assert set(healthy_run.record.versions) == {"tensorflow", "tfma"}


def test_a_model_with_a_gap_is_blocked_for_it(drifted_run):
    assert not drifted_run.blessed
    # Leakage makes no model worse: it stands behind what does.
    assert drifted_run.causes == [
        "mode_gap",
        "collapse",
        "duplicate_leakage",
        "check_failed",
    ]
    reasons = drifted_run.blessing.get_string_custom_property("reasons")
    assert json.loads(reasons) == drifted_run.causes
    assert not drifted_run.blessing.has_custom_property("baseline_model")


def test_upstream_findings_count_and_unreadable_ones_block(drifted_run):
    assert "They are in both splits." in {
        finding.message for finding in drifted_run.verdict.blocking
    }
    [failed] = [f for f in drifted_run.verdict.findings if f.cause == "check_failed"]
    assert failed.found_by == "GuardedEvaluator: reading training_findings"
    assert "findings.json" in failed.message


def test_text_labels_are_told_by_name(drifted_run):
    assert drifted_run.measured.class_names == ("ash", "birch", "cedar")
    [collapse] = [f for f in drifted_run.verdict.findings if f.cause == "collapse"]
    assert collapse.subject.class_name == "ash"


def test_a_stock_model_is_judged_but_blocked_because_it_has_no_modes(
    judge, examples, models_on_disk, blobs
):
    # Two spans of examples, and a model in production that knows other classes.
    judged = judge(
        examples=[examples, examples],
        model=models_on_disk("right"),
        baseline_model=models_on_disk("four"),
    )
    assert not judged.blessed
    no_modes, other_classes = judged.verdict.findings
    assert (no_modes.cause, no_modes.severity) == ("check_failed", Severity.BLOCK)
    assert "cannot be asked in training mode" in no_modes.message
    assert (other_classes.cause, other_classes.severity) == (
        "check_failed",
        Severity.WARN,
    )
    assert "knows 4 classes" in other_classes.message
    assert judged.measured.pair(BASELINE, "eval") is None
    result = judged.measured.result("candidate", "eval")
    assert result.num_examples == 2 * len(blobs["eval"].labels)


def test_a_model_that_depends_on_the_batch_is_blocked(judge, examples, models_on_disk):
    # It is right in every batch that TFMA asks about.
    judged = judge(
        examples=examples,
        model=models_on_disk("depends on batch"),
        config={"require_modes": False},
    )
    assert not judged.blessed
    assert judged.causes == ["batch_dependence"]
    assert judged.measured.result("candidate", "eval").accuracy > 0.8


@pytest.fixture
def training_run(tmp_path):
    run = standard_artifacts.ModelRun()
    run.uri = str(tmp_path / "run")
    record = TrainingRecord(
        class_names=("0", "1", "2"),
        num_parameters=1,
        num_train_examples=240,
        num_held_out=0,
        batch_size=16,
        steps_per_epoch=15,
        epochs=(),
        best_epoch=None,
        stopped_because="it was over",
        findings=(find("vanishing_gradient", "Nothing reaches the first layer."),),
        seed=0,
        seconds=1.0,
        versions={},
        devices=(),
    )
    artifact_io.write_text(run.uri, TRAINING_RECORD_FILE, record.to_json())
    return run


def test_nan_is_told_first_and_findings_of_training_though_only_the_run_is_wired(
    judge, examples, models_on_disk, training_run
):
    judged = judge(
        examples=examples,
        model=models_on_disk("not finite"),
        model_run=training_run,
        config={"require_modes": False},
    )
    assert not judged.blessed
    assert judged.causes == ["not_a_number", "vanishing_gradient"]


def test_a_mode_that_cannot_answer_whole_batches_is_not_judged(
    judge, examples, models_on_disk
):
    judged = judge(
        examples=examples, model=models_on_disk("right", "only small batches")
    )
    assert not judged.blessed
    assert "TFMA had to ask about each of their examples alone" in str(judged.verdict)


def eval_config(least):
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": least})
    )
    metric = config_pb2.MetricConfig(
        class_name="SparseCategoricalAccuracy", threshold=threshold
    )
    return json_format.MessageToJson(
        config_pb2.EvalConfig(
            model_specs=[config_pb2.ModelSpec(label_key="label")],
            slicing_specs=[config_pb2.SlicingSpec()],
            metrics_specs=[config_pb2.MetricsSpec(metrics=[metric])],
        ),
        preserving_proto_field_name=True,
    )


@pytest.mark.parametrize(("least", "blessed"), [(0.5, True), (0.99, False)])
def test_thresholds_of_the_user_hold(judge, examples, models_on_disk, least, blessed):
    judged = judge(
        examples=examples,
        model=models_on_disk("right"),
        eval_config=eval_config(least),
        config={"require_modes": False},
    )
    assert judged.blessed == blessed
    assert judged.causes == ["below_threshold"] * (not blessed)
    # Both evaluations are there, and the user's own where TFX's viewers look for it.
    assert judged.measured.result("candidate", "eval")
    assert tfma.load_validation_result(judged.evaluation.uri).validation_ok == blessed


@pytest.fixture
def own_model(models_on_disk, tmp_path):
    """A copy of a model that may be spoilt."""

    def copy(*kind):
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / "model")
        shutil.copytree(models_on_disk(*kind).uri, model.uri)
        return model

    return copy


class Changing(Executor):
    """Judges while another process writes to the model."""

    def _judge(self, input_dict, *_):
        [model] = input_dict["model"]
        Path(model.uri, "Format-Serving", "late.txt").write_text("a late write")
        return ()


def test_a_model_that_changes_while_it_is_judged_is_blocked(judge, examples, own_model):
    judged = judge(executor=Changing, examples=examples, model=own_model("right"))
    assert not judged.blessed
    assert "its files changed" in str(judged.verdict)


def test_a_repeated_attempt_leaves_no_mark_of_the_first(
    judge, models_on_disk, examples
):
    first = judge(
        examples=examples, model=models_on_disk("right"), config="{", into="repeated"
    )
    Path(first.blessing.uri, "BLESSED").touch()
    assert not judge(
        examples=examples, model=models_on_disk("right"), config="{", into="repeated"
    ).blessed


def test_a_missing_model_is_blocked(judge, examples, tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "nowhere")
    judged = judge(examples=examples, model=model)
    assert not judged.blessed
    assert judged.record.model_sha256 == ""
    assert judged.causes == ["check_failed"]
    assert "holds no files" in str(judged.verdict)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": '{"max_mode_gpa": 1}'}, "max_mode_gpa"),
        ({"config": "{"}, "ValidationError"),
        ({"label_key": "digit"}, "expected 'label', the label that the model was"),
        ({"config": {"eval_split": "test"}}, "test"),
    ],
)
def test_wrong_use_is_blocked_with_its_reason(
    judge, examples, models_on_disk, changes, message
):
    judged = judge(
        **{"examples": examples, "model": models_on_disk("drifted", "right"), **changes}
    )
    assert not judged.blessed
    assert judged.causes == ["check_failed"]
    assert message in str(judged.verdict)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-200]), "expected TFRecords"),
        (lambda file: file.unlink(), "No files found"),
    ],
)
def test_examples_that_cannot_be_read_are_not_judged(
    judge, models_on_disk, examples, tmp_path, spoil, message
):
    shutil.copytree(examples.uri, tmp_path / "examples")
    [file] = (tmp_path / "examples" / "Split-eval").iterdir()
    spoil(file)
    broken = standard_artifacts.Examples()
    broken.copy_from(examples)
    broken.uri = str(tmp_path / "examples")
    judged = judge(examples=broken, model=models_on_disk("right"))
    assert not judged.blessed
    assert judged.causes == ["check_failed"]
    assert message in str(judged.verdict)


def test_an_unknown_label_is_blocked_with_its_reason(
    judge, models_on_disk, write_examples, example, tmp_path
):
    records = [example(x=[0.0, 1.0, 2.0], label=k) for k in (0, 1, 2, 7)]
    examples = write_examples(tmp_path / "e", {"train": records[:3], "eval": records})
    judged = judge(examples=examples, model=models_on_disk("right"))
    assert not judged.blessed
    assert "an example carries [7]" in str(judged.verdict)


@pytest.fixture(scope="module")
def sliced(tmp_path_factory, judge, write_examples, example, blobs):
    """A stock model with weights and no other state, on examples with a site."""
    folder = tmp_path_factory.mktemp("sliced")
    module = tf.Module()
    module.weights = tf.Variable(2 * np.eye(3, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def answer(examples):
        features = {"x": tf.io.FixedLenFeature((3,), tf.float32)}
        points = tf.io.parse_example(examples, features)["x"]
        return {"output": tf.nn.softmax(points @ module.weights)}

    tf.saved_model.save(
        module, str(folder / "model" / "Format-Serving"), {"serving_default": answer}
    )
    model = standard_artifacts.Model()
    model.uri = str(folder / "model")
    records = {
        split: [
            example(x=point.tolist(), label=label, site=b"ab"[i % 2 : i % 2 + 1], day=i)
            for i, (point, label) in enumerate(
                zip(b.points, b.labels.tolist(), strict=True)
            )
        ]
        for split, b in blobs.items()
    }
    artifact = write_examples(folder / "examples", records)
    config = {"slices": ("site", "x", "day"), "max_slices": 50}
    return records, judge(examples=artifact, model=model, config=config)


def predictions_for(rows, softmax):
    features = [tf.train.Example.FromString(row).features.feature for row in rows]
    points = np.array([f["x"].float_list.value for f in features])
    labels = np.array([f["label"].int64_list.value[0] for f in features])
    return labels, softmax(2 * points)


def test_a_model_without_moving_state_needs_no_modes(sliced):
    _, judged = sliced
    assert judged.measured.has_no_modes
    assert not any("training mode" in f.message for f in judged.verdict.findings)


def test_slices_are_measured_one_by_one(sliced, blobs, softmax):
    records, judged = sliced
    assert judged.measured.slices == ("site=a", "site=b")
    for split, rows in records.items():
        for i, name in enumerate("ab"):
            labels, answers = predictions_for(rows[i::2], softmax)
            result = judged.measured.result("candidate", split, f"site={name}")
            confusion = np.zeros((3, 3), int)
            np.add.at(confusion, (labels, answers.argmax(axis=1)), 1)
            assert np.array_equal(result.confusion, confusion)
    unjudged = {u.slice: u.reason for u in judged.measured.unjudged_slices}
    assert "3 values in one example" in unjudged["x"]
    assert "more than 50 values" in unjudged["day"]


def test_harmless_changes_are_asked_about(sliced, softmax):
    records, judged = sliced
    looks = [survey.look_at(row, "label") for row in records["train"]]
    changes = survey.suitable_changes(looks)
    assert list(changes) == ["noise"]
    labels, before = predictions_for(records["eval"], softmax)
    changed = [changes["noise"](row) for row in records["eval"]]
    _, after = predictions_for(changed, softmax)
    right, also = before.argmax(axis=1) == labels, after.argmax(axis=1) == labels
    pair = judged.measured.pair("perturbed:noise", "eval")
    assert pair.both_right == np.sum(right & also)
    assert pair.only_candidate_right == np.sum(right & ~also)
    assert pair.only_other_right == np.sum(~right & also)
    distance = np.abs(before - after).sum(axis=1).mean() / 2
    assert pair.mean_distance == pytest.approx(distance, rel=1e-4)
    asked = {p.other for p in judged.measured.pairs}
    assert asked == {"perturbed:noise", "one_by_one"}
    assert judged.measured.pair("perturbed:noise", "train") is None
    assert judged.measured.pair("perturbed:noise", "eval", "site=a").num_examples == 75


def test_an_unknown_slice_is_blocked_with_the_nearest_name(
    judge, examples, models_on_disk
):
    judged = judge(
        examples=examples,
        model=models_on_disk("right"),
        config={"slices": ("labels",)},
    )
    assert not judged.blessed
    assert "no 'labels' among label, x; did you mean 'label'?" in str(judged.verdict)


def test_examples_that_lack_a_feature_are_told_by_name(
    judge, models_on_disk, write_examples, example, tmp_path
):
    rows = [example(x=[0.0, 1.0, 2.0], label=i % 3, n=i) for i in range(300)]
    rows[290] = example(label=2, n=290)
    data = write_examples(tmp_path / "e", {"train": rows[:90], "eval": rows})
    judged = judge(examples=data, model=models_on_disk("right"))
    assert not judged.blessed
    assert "an example lacks the feature 'x' (float)" in str(judged.verdict)
    assert len(str(judged.verdict)) < 500


def test_what_lies_beside_the_model_and_is_damaged_blocks_but_all_else_is_judged(
    judge, examples, models_on_disk, own_model, tmp_path
):
    model = own_model("labelled", "right")
    copy = Path(model.uri, "Format-TFMA", "saved_model.pb")
    copy.write_bytes(copy.read_bytes()[:-5])
    old = standard_artifacts.Model()
    old.uri = str(tmp_path / "old")
    shutil.copytree(models_on_disk("right").uri, old.uri)
    Path(old.uri, "Format-Serving", "saved_model.pb").write_bytes(b"no graph")
    judged = judge(examples=examples, model=model, baseline_model=old)
    assert not judged.blessed
    messages = " ".join(f.message for f in judged.verdict.blocking)
    assert "the model in production could not run" in messages
    assert "cannot be asked in training mode" in messages
    assert "DecodeError" in judged.measured.modes_missing_because
    assert judged.measured.result("candidate", "eval").accuracy > 0.8
