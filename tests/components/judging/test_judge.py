# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import components
from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.judging.judge import judge
from components.records.evaluation import BASELINE, CANDIDATE, TRAINING_MODE


def causes(judgement):
    return [finding.cause for finding in judgement.blocking]


@pytest.fixture
def quick(blobs):
    """Judges without the data guards, which take seconds."""

    def run(model, train=None, eval=None, *rest, **options):
        options = {"data_checks": False, **options}
        train, eval = train or blobs[0], eval or blobs[1]
        return judge(model, train, eval, *rest, **options)

    return run


def test_it_is_one_of_the_components():
    assert components.judge is judge


def test_a_sound_model_passes(quick, corners):
    judgement = quick(corners)
    assert judgement.passed, judgement.table()
    assert judgement.evaluation.result(CANDIDATE, "eval").accuracy > 0.8
    assert judgement.not_run == ("data guards: they were switched off.",)


def test_a_model_with_a_mode_gap_is_blocked_and_the_layer_named(quick, lagging):
    judgement = quick(lagging)
    assert causes(judgement)[0] == "mode_gap"
    assert "norm (mean off by" in judgement.blocking[0].message
    assert judgement.blocking[0].subject.layer.endswith("norm")


@pytest.mark.parametrize("kind", ["keras", "saved", "saved beside keras", "function"])
def test_each_kind_of_model_gets_the_same_numbers(quick, lagging, tmp_path, kind):
    given, options = lagging, {}
    if kind != "keras":
        lagging.save(tmp_path / "model.keras")
        lagging.export(str(tmp_path / "model"), verbose=False)
        given = str(tmp_path / "model")
    if kind == "saved beside keras":
        options = {"keras_model": tmp_path / "model.keras"}
    if kind == "function":
        given = lambda x: lagging(x)  # noqa: E731
    ours = quick(given, **options).evaluation
    theirs = quick(lagging).evaluation
    of_one = [r.result(CANDIDATE, "eval") for r in (ours, theirs)]
    assert of_one[0].confusion == of_one[1].confusion
    has_modes = ours.pair(TRAINING_MODE, "eval") is not None
    assert has_modes is (kind in ("keras", "saved beside keras"))
    assert (ours.modes_missing_because == "") is has_modes


def test_a_model_whose_modes_nobody_can_ask_is_blocked_unless_that_is_accepted(quick):
    def answer(x):
        return tf.nn.softmax(2 * x)

    assert causes(quick(answer)) == ["check_failed"]
    assert "one mode only" in quick(answer).table()
    accepted = quick(answer, config={"require_modes": False})
    assert accepted.passed
    assert any(line.startswith("training mode: ") for line in accepted.not_run)


def test_a_saved_model_of_another_training_is_noticed(
    quick, corners, lagging, tmp_path
):
    corners.export(str(tmp_path / "model"), verbose=False)
    judgement = quick(str(tmp_path / "model"), keras_model=lagging)
    assert "export_mismatch" in causes(judgement)
    assert judgement.evaluation.pair(TRAINING_MODE, "eval") is None


@pytest.mark.parametrize("form", ["ids", "column", "one-hot", "texts", "lists"])
def test_labels_may_come_in_any_form(quick, corners, blobs, form):
    def encode(labels):
        return {
            "ids": labels,
            "column": labels[:, None],
            "one-hot": np.eye(3)[labels],
            "texts": np.array(["ash", "birch", "cedar"])[labels],
            "lists": labels.tolist(),
        }[form]

    train, evaluation = ((x, encode(y)) for x, y in blobs)
    judgement = quick(corners, train, evaluation)
    assert judgement.passed, judgement.table()
    named = ("ash", "birch", "cedar") if form == "texts" else ("0", "1", "2")
    assert judgement.evaluation.class_names == named


def test_data_sets_give_the_numbers_of_arrays(quick, corners, blobs):
    train, evaluation = (
        tf.data.Dataset.from_tensor_slices(part).batch(32) for part in blobs
    )
    ours, theirs = quick(corners, train, evaluation), quick(corners)
    assert ours.evaluation.results == theirs.evaluation.results


def test_inputs_may_be_dicts_and_tuples(quick, blobs):
    a, b = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    dense = keras.layers.Dense(3, activation="softmax")
    outputs = dense(keras.layers.Concatenate()([a, b]))
    dense.set_weights([2 * np.eye(3), np.zeros(3)])
    parts = [((x[:, :2], x[:, 2:]), y) for x, y in blobs]
    for model in (keras.Model([a, b], outputs), keras.Model({"a": a, "b": b}, outputs)):
        as_tuples = parts
        as_dicts = [({"a": x[0], "b": x[1]}, y) for x, y in parts]
        for given in (as_tuples, as_dicts):
            if isinstance(model.input, dict) and given is as_tuples:
                continue
            assert quick(model, *given).passed


def test_one_sigmoid_unit_stands_for_two_classes(quick):
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    x = (y[:, None] * 6 - 3 + rng.normal(size=(200, 1))).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.layers[0].set_weights([np.ones((1, 1)), np.zeros(1)])
    judgement = quick(model, (x, y), (x[::-1], y[::-1]))
    result = judgement.evaluation.result(CANDIDATE, "eval")
    assert len(result.confusion) == 2
    assert result.accuracy > 0.95
    assert result.num_not_probabilities == 0


@pytest.mark.parametrize("from_logits", [None, False])
def test_logits_are_blocked(quick, blobs, from_logits):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.layers[0].set_weights([9 * np.eye(3), np.zeros(3)])
    judgement = quick(model, from_logits=from_logits)
    assert not judgement.passed
    assert "logits" in judgement.blocking[0].message
    assert judgement.evaluation.result(CANDIDATE, "eval").num_not_probabilities > 100


def test_logits_that_are_said_to_be_some_pass(quick):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.layers[0].set_weights([2 * np.eye(3), np.zeros(3)])
    judgement = quick(model, from_logits=True)
    assert judgement.passed, judgement.table()


def test_a_class_that_no_example_has_is_still_a_class(quick):
    def three_of_four(x):
        return tf.nn.softmax(tf.pad(2 * x, [[0, 0], [0, 1]]))

    record = quick(three_of_four, config={"require_modes": False}).evaluation
    assert record.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize("num_classes", [2, 5])
def test_labels_of_other_classes_than_the_models_are_refused(quick, blobs, num_classes):
    (x, y), evaluation = blobs
    names = np.array(["a", "b", "c"])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(num_classes)])
    with pytest.raises(InputError, match=f"of the {num_classes} classes"):
        quick(model, (x, names[y]), (evaluation[0], names[evaluation[1]]))


def test_the_model_in_production_is_compared_with(quick, corners, lagging):
    judgement = quick(lagging, baseline=corners)
    assert judgement.evaluation.pair(BASELINE, "eval").only_other_right > 50
    assert "below_threshold" in causes(judgement)


def test_a_model_in_production_of_other_classes_is_not(quick, corners):
    other = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, activation="softmax")]
    )
    judgement = quick(corners, baseline=other)
    assert judgement.passed
    assert judgement.evaluation.pair(BASELINE, "eval") is None
    assert "not the 3 of the new one" in judgement.table()


def test_slices_are_judged_one_by_one(quick, blobs):
    sites = [np.array(["lab", "roof"])[np.arange(len(y)) // 3 % 2] for _, y in blobs]
    x = [
        np.where((s == "roof")[:, None], 0, x)
        for (x, _), s in zip(blobs, sites, strict=True)
    ]
    parts = [(a.astype(np.float32), y) for a, (_, y) in zip(x, blobs, strict=True)]
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]
    )
    model.layers[0].set_weights([4 * np.eye(3), np.array([0.1, 0, 0])])
    judgement = quick(model, *parts, slices={"site": tuple(sites)})
    assert judgement.evaluation.slices == ("site=lab", "site=roof")
    assert not judgement.passed
    sliced = [f.subject.slice for f in judgement.blocking if f.subject.slice]
    assert "site=roof" in sliced
    assert "site=lab" not in sliced


def test_limits_may_be_given_as_a_dict(quick, corners):
    judgement = quick(corners, config={"min_accuracy": 0.999})
    assert causes(judgement) == ["below_threshold"]
    limits = EvaluationConfig(min_accuracy=0.5)
    assert quick(corners, config=limits).passed


@pytest.mark.parametrize("config", [{"min_acuracy": 0.5}, {"confidence": 2}])
def test_limits_that_are_none_are_refused(quick, corners, config):
    with pytest.raises(
        InputError, match=f"config: expected a valid `{next(iter(config))}`"
    ):
        quick(corners, config=config)


def test_what_fit_guarded_found_counts(quick, corners):
    from components.findings import find
    from components.records.training import TrainingRecord

    training = TrainingRecord(
        class_names=("0", "1", "2"),
        num_parameters=12,
        num_train_examples=240,
        num_held_out=0,
        batch_size=240,
        steps_per_epoch=1,
        epochs=(),
        best_epoch=None,
        stopped_because="it was made up",
        seed=0,
        seconds=0.0,
        versions={},
        findings=(find("vanishing_gradient", "Gradients vanish."),),
    )
    assert causes(quick(corners, None, None, training)) == ["vanishing_gradient"]


def test_what_goes_wrong_while_measuring_blocks(quick, corners, monkeypatch):
    from components.judging import measuring

    def broken(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(measuring, "plan_batches", broken)
    judgement = quick(corners)
    assert causes(judgement) == ["check_failed"]
    assert "MemoryError: no room" in judgement.blocking[0].message
    assert judgement.evaluation is None


def test_judging_twice_gives_the_same_and_changes_nothing(quick, lagging):
    before = [np.array(v) for v in lagging.variables]
    assert quick(lagging) == quick(lagging)
    for variable, value in zip(lagging.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.slow
def test_the_data_guards_look_through_the_data(corners, blobs):
    (x, y), (x_eval, y_eval) = blobs
    leaked = (np.concatenate([x_eval, x[:90]]), np.concatenate([y_eval, y[:90]]))
    judgement = judge(corners, (x, y), leaked)
    assert causes(judgement)[0] == "duplicate_leakage"
    assert judgement.not_run == ()


@pytest.mark.slow
def test_judging_does_not_load_tfx():
    code = (
        "import sys, components.judging.judge, components.judging.check\n"
        "import components.judging.data.guards\n"
        "sys.exit('tfx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code]).returncode == 0
