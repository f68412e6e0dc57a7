# SPDX-License-Identifier: Apache-2.0
"""That the numbers are those of TFMA is tested in `end_to_end`."""

import types

import numpy as np
import pytest

from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.judging.measuring import measure
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    ONE_BY_ONE,
    TRAINING_MODE,
)
from components.records.training import BatchNormDrift

DRIFT = BatchNormDrift(
    layer="norm", mean_shift=3.0, log_variance_ratio=0.1, initial_share=0.9
)


def softmax(rows):
    exponents = np.exp(2 * rows)
    return exponents / exponents.sum(axis=1, keepdims=True)


def turned(rows):
    return np.roll(softmax(rows), 1, axis=1)


@pytest.fixture
def data(blobs, make_split):
    splits = [
        make_split(
            name,
            *part,
            values={"site": ["ab"[i % 2] for i in range(len(part[0]))]},
            texts=[example(row) for row in part[0]],
        )
        for name, part in zip(("train", "eval"), blobs, strict=True)
    ]

    def parse(serialized):
        from tensorflow.core.example import example_pb2

        rows = [
            example_pb2.Example.FromString(each).features.feature["x"].float_list.value
            for each in serialized
        ]
        return np.array(rows)

    return types.SimpleNamespace(
        train=splits[0],
        eval=splits[1],
        labels=(0, 1, 2),
        label_key="label",
        parse=parse,
    )


def example(row):
    from tensorflow.core.example import example_pb2

    made = example_pb2.Example()
    made.features.feature["x"].float_list.value.extend(row.tolist())
    return made.SerializeToString(deterministic=True)


def test_everything_is_measured_in_one_go(data, make_model):
    model = make_model(
        {CANDIDATE: softmax, TRAINING_MODE: softmax, BATCH_STATISTICS_MODE: turned},
        layers=(DRIFT,),
    )
    measured = measure(
        model,
        data,
        EvaluationConfig(slices=("site",)),
        16,
        make_model({CANDIDATE: turned}),
    )
    record = measured.evaluation
    assert record.class_names == ("0", "1", "2")
    assert {r.model for r in record.results} == {
        CANDIDATE,
        TRAINING_MODE,
        BATCH_STATISTICS_MODE,
        BASELINE,
    }
    assert record.slices == ("site=a", "site=b")
    assert record.result(CANDIDATE, "eval").num_examples == 150
    assert record.result(CANDIDATE, "train").num_examples == 240
    assert record.result(CANDIDATE, "eval", "site=a").num_examples == 75
    assert record.result(CANDIDATE, "eval").accuracy > 0.8
    assert record.pair(TRAINING_MODE, "train").mean_distance == 0
    assert record.pair(BASELINE, "eval").only_candidate_right > 100
    assert record.pair("perturbed:noise", "eval").num_examples == 150
    assert record.pair("perturbed:noise", "eval", "site=b").num_examples == 75
    assert record.pair("perturbed:noise", "train") is None
    assert record.pair(ONE_BY_ONE, "eval").num_examples == 32
    assert measured.batch_norm == (DRIFT,)
    assert measured.findings == ()


def test_the_order_of_the_rows_does_not_matter(data, make_model):
    def centred(rows):  # As BatchNorm does it: the answers depend on the batches.
        return softmax(rows - rows.mean(axis=0))

    model = make_model({CANDIDATE: softmax, TRAINING_MODE: centred})
    config = EvaluationConfig(max_train_examples=100, max_perturbed_examples=50)
    first = measure(model, data, config, 16).evaluation
    for split in (data.train, data.eval):
        order = np.random.default_rng(1).permutation(len(split.x))
        split.x, split.class_ids = split.x[order], split.class_ids[order]
        split.hashes = split.hashes[order]
        split.texts = [split.texts[i] for i in order]
    second = measure(model, data, config, 16).evaluation
    assert first.results == second.results
    # But for the few that are asked about alone, which are the first in the files.
    assert first.pairs[:-1] == second.pairs[:-1]


def test_samples_are_as_large_as_wished_for(data, make_model):
    config = EvaluationConfig(max_train_examples=60, max_perturbed_examples=40)
    record = measure(make_model({CANDIDATE: softmax}), data, config, 16).evaluation
    assert 40 <= record.result(CANDIDATE, "train").num_examples <= 80
    assert 20 <= record.pair("perturbed:noise", "eval").num_examples <= 60


def test_nothing_is_changed_where_that_is_switched_off(data, make_model):
    config = EvaluationConfig(max_perturbed_examples=0)
    record = measure(make_model({CANDIDATE: softmax}), data, config, 16).evaluation
    assert [pair.other for pair in record.pairs] == [ONE_BY_ONE]


def test_a_model_that_cannot_take_changed_examples_is_measured_without(
    data, make_model
):
    def refuse(serialized):
        raise InputError("m: expected others")

    rows_asked = make_model({CANDIDATE: softmax})

    def ask(mode, inputs):
        if isinstance(inputs, str):
            raise InputError("m: expected others")
        return softmax(inputs)

    data.parse = lambda serialized: "changed"
    rows_asked.ask = ask
    record = measure(rows_asked, data, EvaluationConfig(), 16).evaluation
    assert record.pair("perturbed:noise", "eval") is None


def test_the_reasons_of_the_model_reach_the_record(data, make_model):
    model = make_model(
        {CANDIDATE: softmax}, modes_missing_because="no signature", has_no_modes=True
    )
    record = measure(model, data, EvaluationConfig(), 16).evaluation
    assert record.modes_missing_because == "no signature"
    assert record.has_no_modes


def test_a_mode_that_fails_at_last_leaves_no_numbers_behind(data, make_model):
    calls = []

    def fails_later(rows):
        calls.append(len(rows))
        if len(calls) > 3:
            raise RuntimeError("out of memory")
        return softmax(rows)

    model = make_model({CANDIDATE: softmax, TRAINING_MODE: fails_later})
    measured = measure(model, data, EvaluationConfig(), 16)
    assert {r.model for r in measured.evaluation.results} == {CANDIDATE}
    assert measured.evaluation.pair(TRAINING_MODE, "train") is None
    assert "out of memory" in measured.evaluation.modes_missing_because
    (finding,) = measured.findings
    assert finding.blocks


def test_a_drift_that_cannot_be_measured_blocks(data, make_model):
    model = make_model({CANDIDATE: softmax, TRAINING_MODE: softmax})

    def broken(batches):
        raise RuntimeError("no moments")

    model.drift = broken
    measured = measure(model, data, EvaluationConfig(), 16)
    assert measured.batch_norm == ()
    assert "no moments" in measured.findings[0].message
