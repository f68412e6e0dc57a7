# SPDX-License-Identifier: Apache-2.0
import pytest

from components.causes import CATALOGUE
from components.records.evaluation import (
    BASELINE,
    CANDIDATE,
    ONE_BY_ONE,
    PERTURBED_PREFIX,
    TRAINING_MODE,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)
from pipeline.config import parse_config
from pipeline.coverage import causes_of, is_of_the_data, not_looked_for


def config(tmp_path, **content):
    data = {"path": tmp_path, **content.pop("data", {})}
    return parse_config(
        {"name": "n", "data": data, "model": {"build": "m"}, **content}, "s", tmp_path
    )


def result(model=CANDIDATE, split="eval", slice=""):
    return ModelResult(
        model=model,
        split=split,
        slice=slice,
        num_examples=1,
        confusion=((1,),),
        mean_loss=0.1,
        output_spread=(0.1,),
        calibration=(CalibrationBin(),),
    )


def pair(other):
    return PairedResult(
        other=other,
        split="eval",
        both_right=1,
        only_candidate_right=0,
        only_other_right=0,
        both_wrong=0,
        mean_distance=0.0,
    )


def record(models=(), others=(), slices=(), **changes):
    return EvaluationRecord(
        class_names=("a",),
        results=(
            result(),
            result(split="train"),
            *(result(model) for model in models),
            *(result(slice=slice) for slice in slices),
        ),
        pairs=tuple(map(pair, others)),
        **changes,
    )


WHOLE = record(
    (TRAINING_MODE, BASELINE),
    (ONE_BY_ONE, f"{PERTURBED_PREFIX}brighter"),
    ("site=north",),
)


def test_everything_was_looked_for_where_all_was_given(tmp_path):
    for known in ("group", "time"):
        reasons = not_looked_for(config(tmp_path, data={known: "column"}), WHOLE)
        assert len(reasons) == 1  # One splits by group or by time, not by both.
    limits = {"leakage": {"group": "column", "time": "other"}}
    assert not_looked_for(config(tmp_path, **limits), WHOLE) == {}


@pytest.mark.parametrize(
    ("evaluation", "cause"),
    [
        (record((), (ONE_BY_ONE, "perturbed:x")), "mode_gap"),
        (record((TRAINING_MODE,), ("perturbed:x",)), "batch_dependence"),
        (record((TRAINING_MODE,), (ONE_BY_ONE,)), "fragile_preprocessing"),
        (record((TRAINING_MODE,), (ONE_BY_ONE, "perturbed:x")), "below_threshold"),
        (record((TRAINING_MODE,), (ONE_BY_ONE, "perturbed:x")), "weak_slice"),
    ],
    ids=["modes", "companions", "changes", "bounds", "slices"],
)
def test_what_was_not_measured_was_not_looked_for(tmp_path, evaluation, cause):
    assert not_looked_for(config(tmp_path), evaluation)[cause]
    assert cause not in not_looked_for(config(tmp_path), WHOLE)


def test_a_bound_of_ones_own_is_looked_at(tmp_path):
    bound = config(tmp_path, evaluation={"min_accuracy": 0.9})
    assert "below_threshold" not in not_looked_for(bound, record())


def test_a_model_that_cannot_have_a_gap_has_none(tmp_path):
    stateless = record(has_no_modes=True)
    assert "mode_gap" not in not_looked_for(config(tmp_path), stateless)
    told = record(modes_missing_because="it was saved without them")
    reasons = not_looked_for(config(tmp_path), told)
    assert reasons["mode_gap"] == "it was saved without them"


def test_a_run_that_its_data_stop_has_not_judged_a_model(tmp_path):
    reasons = not_looked_for(config(tmp_path), None)
    for cause in ("collapse", "dead_class", "fragile_preprocessing"):
        assert reasons[cause] == "no model was evaluated"
    assert "duplicate_leakage" not in reasons


def test_data_that_were_not_looked_at(tmp_path):
    reasons = not_looked_for(config(tmp_path), WHOLE, looked_at_data=False)
    assert reasons["duplicate_leakage"] == "the data were not looked at"
    assert "collapse" not in reasons


def test_a_check_looks_for_all_but_what_a_training_shows():
    every = {cause.id for cause in causes_of("run")}
    assert every == set(CATALOGUE) - {"check_failed"}
    checked = {cause.id for cause in causes_of("check")}
    assert {"collapse", "mode_gap", "duplicate_leakage", "not_a_number"} <= checked
    assert not checked & {"exploding_gradient", "loss_mismatch", "export_mismatch"}
    assert is_of_the_data(CATALOGUE["label_leakage"])
    assert not is_of_the_data(CATALOGUE["collapse"])
