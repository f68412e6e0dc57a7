# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import findings
from components.causes import CATALOGUE, Severity
from components.findings import Verdict
from components.labels import ClassTable
from components.records.evaluation import EvaluationRecord
from components.records.training import (
    Epoch,
    LayerReading,
    ProbeReading,
    Remedy,
    TrainingRecord,
)
from components.report import view
from components.report.charts import BarChart
from components.report.inputs import DataFindings, Push, ReportInputs
from components.report.view import build_view

PERCENT = "\u202f%"


def section(inputs, name):
    page = build_view(inputs)
    return next(s for s in (*page.leading, *page.sections) if s.id == name)


def finding(cause="collapse", **details):
    return findings.find(cause, "Class 1 gets everything.", **details)


BLOCKED = Verdict.of([finding()])
WARNED = Verdict.of([finding(severity=Severity.WARN)])


@pytest.mark.parametrize(
    ("blessed", "verdict", "push", "tone", "word"),
    [
        (True, Verdict(), Push(True, "17"), "good", "Promoted"),
        (True, WARNED, Push(True, "17"), "good", "Promoted"),
        (True, Verdict(), None, "good", "Blessed"),
        (True, Verdict(), Push(False), "open", "Blessed, not promoted"),
        (False, BLOCKED, Push(False), "bad", "Blocked"),
        (False, BLOCKED, None, "bad", "Blocked"),
        (None, BLOCKED, None, "bad", "Blocked"),
        (None, Verdict(), None, "open", "Not judged"),
        (False, Verdict(), None, "bad", "Blocked"),
        (True, BLOCKED, Push(True, "17"), "bad", "Blocked"),
    ],
    ids=[
        "promoted",
        "promoted-with-a-warning",
        "nothing-to-push",
        "not-pushed",
        "blocked",
        "blocked-without-pusher",
        "stopped-early",
        "passed-so-far",
        "refused-without-cause",
        "blessed-against-its-findings",
    ],
)
def test_headline(good_run, blessed, verdict, push, tone, word):
    blessing = None
    if blessed is not None:
        blessing = good_run.blessing.model_copy(
            update={"blessed": blessed, "verdict": verdict}
        )
    inputs = ReportInputs(verdict=verdict, blessing=blessing, push=push)
    headline = build_view(inputs).headline
    assert (headline.tone, headline.word) == (tone, word)
    assert headline.reason


def test_headline_of_a_blocked_model_gives_cause_numbers_and_remedy(mode_gap_run):
    headline = build_view(mode_gap_run).headline
    assert headline.cause == "mode_gap"
    assert "98.0 % in training mode and on 33.3 % in inference" in headline.reason
    assert headline.meaning == CATALOGUE["mode_gap"].sentence
    assert headline.remedy == CATALOGUE["mode_gap"].remedy
    assert headline.counts == "5 findings: 3 block, 1 warns, 1 informs"
    assert headline.push == "Not in production: the model was not blessed"


def test_headline_of_a_promoted_model_names_its_first_warning(good_run):
    headline = build_view(good_run).headline
    assert headline.cause == ""
    assert "flip 3.1 %" in headline.warning
    assert headline.push == "In production as version 1795351803, in /models/digits"


@pytest.mark.parametrize(
    ("verdict", "tone", "word"),
    [
        (Verdict(), "good", "Passed"),
        (WARNED, "good", "Passed"),
        (BLOCKED, "bad", "Blocked"),
    ],
    ids=["passed", "passed-with-a-warning", "blocked"],
)
def test_headline_of_a_model_trained_elsewhere(checked_model, verdict, tone, word):
    headline = build_view(dataclasses.replace(checked_model, verdict=verdict)).headline
    assert (headline.tone, headline.word, headline.push) == (tone, word, "")


def test_a_model_trained_elsewhere_has_one_line_for_all_of_its_training(checked_model):
    training = section(checked_model, "training")
    assert "trained elsewhere" in training.absent
    assert training.also == ("transfer", "probe", "layers", "batchnorm")
    assert ("Model", "models/model.keras") in build_view(checked_model).facts


def test_information_is_no_reason():
    informed = Verdict.of([finding(severity=Severity.INFO)])
    headline = build_view(ReportInputs(verdict=informed)).headline
    assert (headline.cause, headline.warning, headline.remedy) == ("", "", "")


def test_findings_keep_their_order_and_numbers(mode_gap_run):
    rows = build_view(mode_gap_run).findings
    assert [row.cause for row in rows] == [
        "mode_gap",
        "collapse",
        "dead_class",
        "class_imbalance",
        "underfit",
    ]
    assert rows[0].id == "finding-1"
    assert (rows[0].measured, rows[0].limit) == (f"64.7{PERCENT}", f"5.0{PERCENT}")
    assert rows[0].severity_word == "blocks"
    assert ("Only training right", "195") in rows[0].evidence.entries
    assert (rows[4].measured, rows[4].limit) == ("not measured", "none")
    assert rows[4].subject == "everything"


@pytest.mark.parametrize(
    ("count", "left_out"),
    [(0, 0), (view.MAX_FINDINGS, 0), (view.MAX_FINDINGS + 1, 1)],
    ids=["none", "exactly-at-the-limit", "just-beyond"],
)
def test_findings_are_bounded(count, left_out):
    page = build_view(ReportInputs(verdict=Verdict.of([finding()] * count)))
    assert len(page.findings) == count - left_out
    assert page.findings_left_out == left_out


def test_tiles_put_both_modes_side_by_side(mode_gap_run):
    tiles = {tile.name: tile.value for tile in build_view(mode_gap_run).tiles}
    assert tiles == {
        "Accuracy in use": f"33.3{PERCENT}",
        "In training mode": f"98.0{PERCENT}",
        "On training data": f"43.5{PERCENT}",
        "Judged on": "300",
    }


def test_tiles_tell_how_many_predictions_are_not_finite(not_a_number_run):
    tiles = {tile.name: tile for tile in build_view(not_a_number_run).tiles}
    assert tiles["Accuracy in use"].value == "not a number"
    assert tiles["Judged on"].note.endswith("; 50 without finite prediction")


def test_every_part_but_the_verdict_may_be_absent():
    page = build_view(ReportInputs(verdict=Verdict()))
    assert page.tiles == page.facts == page.versions == page.leading == ()
    assert [part.id for part in page.sections] == ["leaks", "classes", "model"]
    assert all(part.absent for part in page.sections)
    assert not any(part.charts or part.table for part in page.sections)


def test_without_a_model_one_part_stands_for_all_that_would_show_it(leaked_digits):
    model = section(leaked_digits, "model")
    assert model.absent.startswith("No model was trained: what blocks stops a run")
    assert model.also == (
        "confusion",
        "modes",
        "training",
        "transfer",
        "probe",
        "layers",
        "batchnorm",
    )


def test_data_that_pass_are_said_to_pass_and_nothing_more(leaked_digits):
    inputs = dataclasses.replace(leaked_digits, verdict=WARNED, data={})
    assert build_view(inputs).headline.word == "Not judged"
    inputs = dataclasses.replace(
        inputs, data={"leakage_findings": DataFindings(WARNED)}
    )
    headline = build_view(inputs).headline
    assert (headline.tone, headline.word) == ("good", "Data passed")
    assert section(inputs, "model").absent.startswith("No model was trained before")


def test_a_run_stopped_by_its_data_begins_with_the_leaked_examples(leaked_digits):
    page = build_view(leaked_digits)
    assert page.headline.cause == "duplicate_leakage"
    assert [part.id for part in page.leading] == ["leaks", "distributions"]
    assert page.findings_title == "Other findings"
    assert [row.cause for row in page.findings] == [
        "train_eval_skew",
        "class_imbalance",
    ]
    leaks = page.leading[0].leaks
    ids = [leak.id for leak in leaks] + [row.id for row in page.findings]
    assert ids == ["finding-1", "finding-2", "finding-3", "finding-4"]
    assert [leak.repeats for leak in leaks] == [True, False]


def test_a_judged_run_keeps_all_findings_in_one_table(judged_on_leaked_digits):
    page = build_view(judged_on_leaked_digits)
    assert page.leading == page.apart == ()
    assert len(page.findings) == len(judged_on_leaked_digits.verdict.findings)
    assert [row.leak for row in page.findings if row.leak] == ["leak-1", "leak-2"]
    assert [part.id for part in page.sections][:2] == ["leaks", "distributions"]
    assert [leak.id for leak in page.sections[0].leaks] == ["leak-1", "leak-2"]
    assert all(leak.has_pictures for leak in page.sections[0].leaks)


def test_findings_on_the_data_are_shown_even_if_the_decision_ignored_them(
    mode_gap_run, leaked_digits
):
    page = build_view(dataclasses.replace(mode_gap_run, data=leaked_digits.data))
    assert page.headline.cause == "mode_gap"
    assert page.headline.counts.startswith("5 findings")
    assert [row.id for row in page.apart] == [f"finding-{n}" for n in (6, 7, 8, 9)]
    assert len(page.sections[0].leaks) == 2


def test_labels_of_each_split_are_counted_and_compared(leaked_digits):
    part = section(leaked_digits, "distributions")
    assert part.title == "Classes per split"
    assert "a class without a bar" in part.unhealthy
    table = section(leaked_digits, "classes").table
    assert table.header == ("Class", "train", "eval", "Weight")
    assert table.rows[3] == ("3", "3", "0", "2.1")
    assert ("Labelled in eval", "30 examples") in build_view(leaked_digits).facts


def test_a_part_that_could_not_be_read_says_why(good_run):
    inputs = dataclasses.replace(
        good_run,
        training=None,
        push=None,
        unreadable={"training": "ValueError: no\nJSON", "push": "no file"},
    )
    expected = "Could not be read: ValueError: no JSON"
    assert section(inputs, "training").absent == expected
    for part in ("probe", "layers", "batchnorm"):
        assert section(inputs, part).absent == expected
    assert build_view(inputs).headline.push.endswith("unknown: no file")


def test_labels_alone_are_shown_when_the_run_stopped_before_a_model(good_run):
    inputs = ReportInputs(verdict=BLOCKED, classes=good_run.classes)
    part = section(inputs, "distributions")
    assert len(part.charts) == 1
    assert part.intro == ()
    assert part.charts[0].title == "Split train"


def test_examples_without_finite_predictions_are_named(not_a_number_run):
    expected = (
        "Not measured: 50 examples of split eval had NaN or infinity among their "
        "predictions and count in no picture."
    )
    assert section(not_a_number_run, "distributions").absent == expected
    assert section(not_a_number_run, "confusion").absent == expected


def test_most_frequent_confusions_come_first(many_classes):
    part = section(many_classes, "confusion")
    assert part.table.rows[0] == ("species 099 → species 000", "54", f"17.0{PERCENT}")
    assert len(part.table.rows) == 10
    assert "The 20 most confused of 100 classes" in part.intro[1]


def test_a_flawless_model_has_no_confusions():
    evaluation = EvaluationRecord.model_validate(
        {
            "class_names": ["a", "b"],
            "results": [
                {
                    "model": "candidate",
                    "split": "eval",
                    "num_examples": 5,
                    "confusion": [[3, 0], [0, 2]],
                    "mean_loss": 0.1,
                    "output_spread": [0.4, 0.4],
                }
            ],
        }
    )
    inputs = ReportInputs(verdict=Verdict(), evaluation=evaluation)
    assert section(inputs, "confusion").table is None
    assert section(inputs, "confusion").charts


def test_modes_say_who_is_right_where_the_other_is_not(mode_gap_run):
    rows = {row[0]: row[1:] for row in section(mode_gap_run, "modes").table.rows}
    assert rows["eval · training mode"] == (
        "300",
        f"98.0{PERCENT}",
        "0.0712",
        "195",
        "1",
        "0.648",
    )
    assert rows["eval · inference mode"][1] == f"33.3{PERCENT}"


def test_slices_do_not_stand_among_the_modes(measured_run, good_run):
    modes = section(measured_run, "modes")
    assert len(modes.table.rows) == len(section(good_run, "modes").table.rows) == 6
    assert all(len(chart.labels) == 3 for chart in modes.charts)


def test_the_spread_of_the_predictions_is_told(mode_gap_run):
    told = section(mode_gap_run, "distributions").intro
    assert told[1].startswith(
        "Split eval: the predictions are spread over 1 effective classes"
    )
    assert f"the labels over 3; their shares differ by 66.7{PERCENT}" in told[1]


def test_recalibration_is_told_in_words(mode_gap_run, good_run):
    told = section(mode_gap_run, "batchnorm").intro[1]
    assert "920 training examples; they were not kept" in told
    assert f"accuracy went from 34.0{PERCENT} to 33.0{PERCENT}" in told
    assert section(good_run, "batchnorm").intro[1] == "No recalibration took place."
    done = mode_gap_run.training.recalibration.model_copy(update={"num_held_out": 0})
    training = mode_gap_run.training.model_copy(update={"recalibration": done})
    inputs = dataclasses.replace(mode_gap_run, training=training)
    assert (
        section(inputs, "batchnorm")
        .intro[1]
        .endswith("No rows were held out to check them on.")
    )


def test_classes_list_recall_and_precision_of_each(mode_gap_run):
    table = section(mode_gap_run, "classes").table
    assert table.header == (
        "Class",
        "Train",
        "Weight",
        "In eval",
        "Predicted",
        "Recall",
        "95 % interval",
        "Precision",
    )
    assert table.rows[0] == (
        "cat",
        "400",
        "0.87",
        "100",
        "0",
        f"0{PERCENT}",
        # Of no hits in 100, Clopper and Pearson: 1 - 0.025 ** (1 / 100).
        f"0{PERCENT} to 3.6{PERCENT}",
        "–",
    )
    assert table.rows[1][5:] == (
        f"100{PERCENT}",
        f"96.4{PERCENT} to 100{PERCENT}",
        f"33.3{PERCENT}",
    )


def test_records_of_different_classes_share_no_rows(good_run):
    table = ClassTable(
        label_key="y", labels=("x", "y"), train_counts=(1, 2), weights=(1, 1)
    )
    inputs = dataclasses.replace(good_run, classes=table)
    assert section(inputs, "classes").table.header == ("Class", "Train", "Weight")


def test_facts_name_what_is_needed_to_repeat_the_run(mode_gap_run):
    facts = dict(build_view(mode_gap_run).facts)
    assert facts["Decided"] == "2026-11-22 12:50:03 UTC"
    assert facts["Model (SHA-256)"] == "9f2b" * 16
    assert facts["Seed"] == "17"
    assert facts["Training time"] == "4 min 7 s"
    assert facts["Devices"] == "/physical_device:CPU:0"
    assert facts["Trained on"] == "1,294 examples"
    assert "Pushed as" not in facts


def test_facts_name_what_shaped_the_model(repaired_run):
    facts = dict(build_view(repaired_run).facts)
    assert facts["Parameters"] == "1,234,567, 1,230,000 trainable"
    assert facts["Optimizer"] == "SGD"
    assert facts["Loss"] == "sparse_categorical_crossentropy"
    assert facts["Data of train (SHA-256)"] == "ab" * 32


def test_transfer_learning_has_a_part_only_where_there_was_some(transfer_run, good_run):
    ids = [part.id for part in build_view(transfer_run).sections]
    assert ids.index("transfer") == ids.index("training") + 1
    assert "transfer" not in {part.id for part in build_view(good_run).sections}
    assert section(good_run, "training").also == ("transfer",)


def test_versions_that_differ_are_both_named(mode_gap_run):
    versions = dict(build_view(mode_gap_run).versions)
    assert versions["keras"] == "3.12.0 (training), 3.12.1 (evaluation)"
    assert versions["tfx"] == "1.16.0"


_NUMBERS = st.none() | st.floats()
_NAMES = st.text(max_size=6)
_LAYERS = st.builds(
    LayerReading,
    layer=_NAMES,
    gradient_norm=_NUMBERS,
    weight_norm=_NUMBERS,
    update_ratio=_NUMBERS,
    dead_share=_NUMBERS,
    saturated_share=_NUMBERS,
    mean_shift=_NUMBERS,
    log_variance_ratio=_NUMBERS,
    not_finite=st.lists(st.sampled_from(["weights", "outputs"]), max_size=2),
)
_PROBES = st.builds(
    ProbeReading,
    num_examples=st.integers(0, 9),
    training_loss=_NUMBERS,
    training_accuracy=_NUMBERS,
    inference_loss=_NUMBERS,
    inference_accuracy=_NUMBERS,
    predicted_shares=st.lists(st.floats(0, 1), max_size=3),
    true_shares=st.lists(st.floats(0, 1), max_size=3),
    layers=st.lists(_LAYERS, max_size=3),
)
_EPOCHS = st.builds(
    Epoch,
    loss=_NUMBERS,
    accuracy=_NUMBERS,
    held_out_loss=_NUMBERS,
    held_out_accuracy=_NUMBERS,
    learning_rate=_NUMBERS,
    phase=st.sampled_from(["training", "head", "fine_tuning"]),
    probe=st.none() | _PROBES,
)
_REMEDIES = st.builds(
    Remedy,
    action=_NAMES,
    cause=_NAMES,
    epoch=st.integers(-1, 9),
    back_to_epoch=st.none() | st.integers(-1, 9),
    before=_NUMBERS,
    after=_NUMBERS,
    message=_NAMES,
    helped=st.none() | st.booleans(),
)


@given(
    epochs=st.lists(_EPOCHS, max_size=5),
    remedies=st.lists(_REMEDIES, max_size=3),
    resumed_at=st.lists(st.integers(-1, 9), max_size=2),
    best_epoch=st.none() | st.integers(0, 9),
)
def test_any_training_is_shown(epochs, remedies, resumed_at, best_epoch):
    training = TrainingRecord(
        class_names=("a", "b"),
        num_parameters=1,
        num_train_examples=1,
        num_held_out=0,
        batch_size=1,
        steps_per_epoch=1,
        epochs=epochs,
        best_epoch=best_epoch,
        stopped_because="",
        remedies=remedies,
        resumed_at=resumed_at,
        seed=0,
        seconds=0,
        versions={},
    )
    page = build_view(ReportInputs(verdict=Verdict(), training=training))
    parts = {part.id: part for part in page.sections}
    assert parts["probe"].absent or any(epoch.probe for epoch in epochs)
    for part in parts.values():
        charts = [*part.charts, *(c for f in part.figures for c in f.charts)]
        assert "None" not in " ".join((*part.intro, *(chart.alt for chart in charts)))
        for chart in charts:
            assert isinstance(chart, BarChart) or chart.course.num_epochs == len(epochs)
