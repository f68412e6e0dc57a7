# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from components.records.evaluation import (
    BASELINE,
    CANDIDATE,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)


def result(confusion, **changes):
    fields = {
        "model": CANDIDATE,
        "split": "eval",
        "num_examples": sum(map(sum, confusion)),
        "confusion": confusion,
        "mean_loss": 0.5,
        "output_spread": (0.1,) * len(confusion),
    }
    return ModelResult(**{**fields, **changes})


PAIR = PairedResult(
    other=BASELINE,
    split="eval",
    both_right=5,
    only_candidate_right=1,
    only_other_right=2,
    both_wrong=4,
    mean_distance=0.25,
)


@pytest.mark.parametrize(
    ("confusion", "accuracy"),
    [
        pytest.param(((3, 0), (0, 1)), 1.0, id="all-right"),
        pytest.param(((0, 3), (1, 0)), 0.0, id="all-wrong"),
        pytest.param(((2, 1), (1, 0)), 0.5, id="half"),
    ],
)
def test_accuracy_is_the_share_on_the_diagonal(confusion, accuracy):
    assert result(confusion).accuracy == accuracy


def test_accuracy_of_nothing_is_not_a_number():
    assert math.isnan(result(((0, 0), (0, 0))).accuracy)


def test_a_pair_counts_every_example_once():
    assert PAIR.num_examples == 12


def test_what_was_not_measured_is_none():
    record = EvaluationRecord(class_names=("a", "b"), results=())
    assert record.result(CANDIDATE, "eval") is None
    assert record.pair(BASELINE, "eval") is None


def test_a_record_finds_what_it_holds_and_survives_json_with_nan():
    broken = result(((0, 0), (0, 0)), mean_loss=math.nan, output_spread=(math.nan,) * 2)
    record = EvaluationRecord(
        class_names=("a", "b"),
        results=(result(((1, 0), (0, 1))), broken),
        pairs=(PAIR,),
    )
    read = EvaluationRecord.from_json(record.to_json())
    assert read.pair(BASELINE, "eval") == PAIR
    assert read.result(CANDIDATE, "eval") == record.results[0]
    assert math.isnan(read.results[1].mean_loss)
