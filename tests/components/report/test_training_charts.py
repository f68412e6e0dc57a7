# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from components.records.training import (
    BatchNormDrift,
    Epoch,
    Forgetting,
    Remedy,
)
from components.report import charts, training_charts


def test_curves_mark_the_epoch_whose_weights_were_kept(good_run, mode_gap_run):
    for run, kept in ((good_run, 10), (mode_gap_run, 2)):
        made = training_charts.curves(run.training)
        assert {chart.course.kept for chart in made} == {kept}


def test_curves_of_no_epochs_are_not_drawn(good_run):
    without = good_run.training.model_copy(update={"epochs": ()})
    assert training_charts.curves(without) == ()
    assert training_charts.learning_rate(without) == ()
    assert training_charts.modes(without) == ()
    assert training_charts.predicted_classes(without) is None


def test_curves_without_held_out_rows_have_one_line(good_run):
    training = good_run.training.model_copy(
        update={"epochs": (Epoch(loss=0.5, accuracy=0.9),), "num_held_out": 0}
    )
    made = training_charts.curves(training)
    assert [[line.name for line in chart.series] for chart in made] == [
        ["training"],
        ["training"],
    ]


def test_curves_are_told_by_the_epochs_that_shaped_the_model(good_run):
    training = good_run.training.model_copy(
        update={
            "epochs": tuple(Epoch(loss=loss) for loss in (2.0, 900.0, 1.0)),
            "remedies": (
                Remedy(
                    action="clip_gradients",
                    cause="exploding_gradient",
                    epoch=1,
                    back_to_epoch=0,
                    message="",
                ),
            ),
        }
    )
    (loss,) = training_charts.curves(training)
    assert "training from 2 to 1" in loss.alt
    assert loss.series[0].values == (2.0, 900.0, 1.0)
    assert loss.course.rolled_back == (1,)


def test_broken_epochs_are_counted(not_a_number_run, good_run):
    assert training_charts.broken_epochs(not_a_number_run.training.epochs) == 3
    assert training_charts.broken_epochs(good_run.training.epochs) == 0


def test_the_learning_rate_changes_at_once(repaired_run):
    (chart,) = training_charts.learning_rate(repaired_run.training)
    assert chart.stepped
    assert chart.series[0].values[3:5] == (1.0, 0.1)


def test_both_modes_on_the_probe_show_the_gap_as_it_grows(watched_gap_run):
    accuracy, loss = training_charts.modes(watched_gap_run.training)
    training, inference = accuracy.series
    gaps = [a - b for a, b in zip(training.values, inference.values, strict=True)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 0.6
    assert (accuracy.id, loss.id) == ("probe-accuracy", "probe-loss")
    assert accuracy.percent


def test_modes_without_a_probe_are_not_drawn(good_run):
    assert training_charts.modes(good_run.training) == ()


def test_epochs_without_a_probe_have_no_numbers(good_run, probe):
    epochs = (Epoch(), Epoch(probe=probe(10)), Epoch())
    training = good_run.training.model_copy(update={"epochs": epochs})
    accuracy, _ = training_charts.modes(training)
    assert accuracy.series[0].values == (None, 0.9, None)
    stacked = training_charts.predicted_classes(training)
    assert stacked.edges == (0, 2, 3)
    assert [value is None for value in stacked.series[0].values] == [False, True]


def watched(run, probes, names):
    return run.training.model_copy(
        update={
            "epochs": tuple(Epoch(probe=probe) for probe in probes),
            "class_names": tuple(names),
            "best_epoch": None,
        }
    )


def test_predicted_classes_end_in_the_one_that_took_over(watched_gap_run):
    chart = training_charts.predicted_classes(watched_gap_run.training)
    assert [band.name for band in chart.series][:2] == ["cat", "dog"]
    assert chart.series[1].values[-1] == pytest.approx(1.0)
    assert chart.reference == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert (
        "At last dog has the largest: 100\u202f%, and 33.3\u202f% of the labels."
        in (chart.alt)
    )


@pytest.mark.parametrize(
    ("classes", "bands", "rest"),
    [
        (training_charts.MAX_BANDS, training_charts.MAX_BANDS, None),
        (training_charts.MAX_BANDS + 1, training_charts.MAX_BANDS + 1, "1 other class"),
        (1000, training_charts.MAX_BANDS + 1, "993 other classes"),
    ],
    ids=["exactly-at-the-limit", "just-beyond", "thousand"],
)
def test_most_of_many_classes_share_a_band(good_run, probe, classes, bands, rest):
    names = [f"c{k}" for k in range(classes)]
    probes = [probe(classes, gap=0.8, onto=classes - 1), probe(classes)]
    chart = training_charts.predicted_classes(watched(good_run, probes, names))
    assert len(chart.series) == len(chart.reference) == bands
    assert f"c{classes - 1}" in {band.name for band in chart.series}
    assert chart.series[-1].name == (rest or f"c{classes - 1}")
    for column in zip(*(band.values for band in chart.series), strict=True):
        assert sum(column) == pytest.approx(1)
    assert sum(chart.reference) == pytest.approx(1)


def test_a_collapse_of_one_epoch_among_hundreds_is_seen(good_run, probe):
    probes = [probe(3, gap=1.0 if k == 217 else 0.0, onto=2) for k in range(500)]
    chart = training_charts.predicted_classes(watched(good_run, probes, "abc"))
    assert len(chart.edges) == 61
    assert max(chart.series[2].values) == pytest.approx(1.0)


def test_shares_that_do_not_fit_the_classes_are_not_drawn(good_run, probe):
    training = watched(good_run, [probe(4)], "abc")
    assert training_charts.predicted_classes(training) is None
    without_truth = [probe(3, true_shares=())]
    chart = training_charts.predicted_classes(watched(good_run, without_truth, "abc"))
    assert chart.reference == ()
    assert "of the labels" not in chart.alt


def drift(layer, size):
    return BatchNormDrift(
        layer=layer, mean_shift=size, log_variance_ratio=size, initial_share=0
    )


def test_batch_norm_shows_the_layers_that_drifted_most_in_the_models_order():
    drifts = [drift(f"bn{k}", k) for k in range(charts.MAX_BARS + 5)]
    shift, ratio = training_charts.batch_norm(drifts[::-1])
    assert shift.labels == ratio.labels
    assert shift.labels == tuple(f"bn{k}" for k in range(24, 4, -1))


def test_batch_norm_shows_a_layer_that_is_not_a_number_first_of_all():
    drifts = [drift(f"bn{k}", 9) for k in range(charts.MAX_BARS)]
    shift, _ = training_charts.batch_norm([*drifts, drift("broken", math.nan)])
    assert "broken" in shift.labels
    assert "the largest is not a number in layer broken" in shift.alt


def test_batch_norm_of_no_layers_is_not_drawn():
    assert training_charts.batch_norm(()) == ()


def test_layers_that_moved_most_are_shown():
    assert training_charts.moved_layers(()) == ()
    moved = [Forgetting(layer=f"conv{k}", distance=k / 10) for k in range(25)]
    (chart,) = training_charts.moved_layers(moved)
    assert chart.labels == tuple(f"conv{k}" for k in range(5, 25))
    assert "the largest is 2.4 in layer conv24" in chart.alt
