# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics import combining
from components.guarded_evaluator.metrics.combining import (
    ExampleReader,
    OutcomesCombineFn,
    PairedOutcomesCombineFn,
)
from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.metrics.paired import paired_outcomes

KEY = metric_types.MetricKey(name="outcomes")


def as_input(labels, predictions):
    return metric_util.to_standard_metric_inputs(
        {
            "labels": np.asarray(labels),
            "predictions": predictions,
            "example_weights": np.array([1.0]),
        }
    )


def of_one_model(eval_config=None):
    return OutcomesCombineFn(KEY, eval_config, [""])


def of_two_models():
    return PairedOutcomesCombineFn(KEY, None, ["ours", "theirs"])


def add_all(fn, shard):
    accumulator = fn.create_accumulator()
    for element in shard:
        accumulator = fn.add_input(accumulator, element)
    return accumulator


def combine(fn, shards):
    accumulators = [add_all(fn, shard) for shard in shards]
    return fn.extract_output(fn.merge_accumulators(iter(accumulators)))[KEY]


def one_by_one(labels, predictions):
    return [
        as_input([label], np.asarray(row))
        for label, row in zip(labels, predictions, strict=True)
    ]


@st.composite
def ways_of_adding(draw):
    """Rows, and shards of elements: examples and batches, compacted and pickled."""
    count = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, 3, count)
    ours, theirs = rng.dirichlet(np.ones(3), (2, count)).astype(np.float32)
    ours[rng.random(count) < 0.1, 0] = np.nan
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    bounds = [0, *cuts, count]
    shards = []
    for start, end in zip(bounds, bounds[1:], strict=False):
        if draw(st.booleans()) and end > start:
            shards.append([slice(start, end)])
        else:
            shards.append(list(range(start, end)))
    return labels, ours, theirs, draw(st.permutations(shards)), draw(st.booleans())


@given(ways_of_adding())
def test_the_sums_are_the_same_however_the_rows_come(drawn):
    labels, ours, theirs, shards, is_moved = drawn
    one, two = of_one_model(), of_two_models()

    def accumulate(fn, predictions):
        accumulators = []
        for shard in shards:
            accumulator = fn.create_accumulator()
            for rows in shard:
                given = {name: p[rows] for name, p in predictions.items()}
                element = as_input(np.atleast_1d(labels[rows]), given.get("", given))
                accumulator = fn.add_input(accumulator, element)
                if is_moved:  # As Beam does where it has to send it elsewhere.
                    accumulator = pickle.loads(pickle.dumps(fn.compact(accumulator)))
            accumulators.append(accumulator)
        return fn.extract_output(fn.merge_accumulators(iter(accumulators)))[KEY]

    right = Outcomes.empty()
    right.add_batch(labels, ours)
    np.testing.assert_allclose(
        accumulate(one, {"": ours}).to_array(), right.to_array(), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        accumulate(two, {"ours": ours, "theirs": theirs}),
        paired_outcomes(labels, ours, theirs),
        rtol=1e-12,
    )


def test_merging_starts_afresh_and_changes_no_shard():
    for fn, element in (
        (of_one_model(), as_input([0], np.array([0.6, 0.4]))),
        (
            of_two_models(),
            as_input([0], {k: np.array([0.6, 0.4]) for k in ("ours", "theirs")}),
        ),
    ):
        shards = [add_all(fn, [element]), fn.compact(add_all(fn, [element] * 2))]
        before = pickle.dumps(shards)
        for _ in range(2):
            merged = fn.merge_accumulators(iter(shards))
            fn.add_input(merged, element)
        assert pickle.dumps(shards) == before


def test_asking_twice_answers_the_same():
    fn = of_one_model()
    accumulator = add_all(fn, one_by_one([0, 1], [[0.6, 0.4]] * 2))
    first = fn.extract_output(accumulator)[KEY].num_examples
    assert first == fn.extract_output(accumulator)[KEY].num_examples == 2


def test_what_is_kept_does_not_grow_with_the_examples(monkeypatch):
    monkeypatch.setattr(combining, "_ROWS_AT_A_TIME", 10)
    fn, kept = of_one_model(), []
    accumulator = fn.create_accumulator()
    for element in one_by_one([0] * 35, [[0.6, 0.4]] * 35):
        accumulator = fn.add_input(accumulator, element)
        kept.append(accumulator.num_rows)
    assert max(kept) == 9
    assert fn.extract_output(accumulator)[KEY].num_examples == 35


def test_nothing_has_no_outcomes():
    assert combine(of_one_model(), [[], []]).num_examples == 0
    assert combine(of_two_models(), [[], []]).tolist() == [0] * 6


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        pytest.param([1], [0.2, 0.7, 0.1], id="a class id"),
        pytest.param(1, [0.2, 0.7, 0.1], id="a scalar"),
        pytest.param([1.0], [0.2, 0.7, 0.1], id="a float"),
        pytest.param([0, 1, 0], [0.2, 0.7, 0.1], id="one-hot"),
        pytest.param([[1]], [[0.2, 0.7, 0.1]], id="a batch of ids in a column"),
        pytest.param([[0, 1, 0]], [[0.2, 0.7, 0.1]], id="a batch of one-hot"),
    ],
)
def test_labels_come_as_class_ids_or_one_hot(labels, predictions):
    found = combine(of_one_model(), [[as_input(labels, np.array(predictions))]])
    assert found.confusion.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("output", [np.array([0.8]), np.array(0.8)])
def test_one_sigmoid_unit_has_two_classes(output):
    found = combine(of_one_model(), [[as_input([1], output), as_input([0], output)]])
    assert found.confusion.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3], "class ids from 0 to 2.*one is 3"),
        ([-1], "class ids from 0 to 2.*one is -1"),
        ([0.5], "whole class ids, or one-hot rows, but 0.5 came"),
        ([np.nan], "whole class ids, or one-hot rows, but nan came"),
        ([0, 1], "one for each of 1 examples.*but 2 numbers came"),
        ([1, 0, 1], r"one-hot rows, but \[1 0 1\] came"),
        ([0, 0, 0], r"one-hot rows, but \[0 0 0\] came"),
        ([0.3, 0.5, 0.2], r"one-hot rows, but \[0.3 0.5 0.2\] came"),
    ],
)
def test_other_labels_are_an_error(labels, message):
    element = as_input(labels, np.array([0.2, 0.3, 0.5]))
    with pytest.raises(ValueError, match=message):
        combine(of_one_model(), [[element]])


def test_examples_without_labels_are_an_error():
    element = as_input([], np.array([0.2, 0.3, 0.5]))
    with pytest.raises(ValueError, match="but 0 numbers came"):
        combine(of_one_model(), [[element]])


class TestExampleReader:
    def test_takes_the_output_that_the_configuration_names(self):
        config = config_pb2.EvalConfig(
            model_specs=[
                config_pb2.ModelSpec(name="ours", prediction_key="shares"),
                config_pb2.ModelSpec(name="theirs"),
            ]
        )
        outputs = {
            "ours": {"shares": np.array([0.1, 0.9]), "class": np.array([1])},
            "theirs": np.array([0.7, 0.3]),
        }
        label, predictions = ExampleReader(config, ["ours", "theirs"]).read(
            as_input([1], outputs)
        )
        assert label.tolist() == [1]
        assert [p.tolist() for p in predictions] == [[0.1, 0.9], [0.7, 0.3]]

    def test_the_only_model_has_no_name(self):
        config = config_pb2.EvalConfig(
            model_specs=[config_pb2.ModelSpec(name="ours", prediction_key="shares")]
        )
        given = as_input([1], {"shares": np.array([0.1, 0.9]), "id": np.array([1])})
        [prediction] = ExampleReader(config, [""]).read(given)[1]
        assert prediction.tolist() == [0.1, 0.9]

    def test_finds_what_only_tfma_knows_to_find(self):
        # Without a key, TFMA looks for outputs called `probabilities` and the like;
        # labels may come by output.
        outputs = {"head": {"probabilities": np.array([0.1, 0.9]), "x": np.array([1])}}
        given = as_input([0], outputs)
        given.extracts["labels"] = {"head": np.array([1])}
        label, [prediction] = ExampleReader(None, [""], "head").read(given)
        assert label.tolist() == [1]
        assert prediction.tolist() == [0.1, 0.9]

    def test_says_what_is_there_where_an_output_is_unknown(self):
        given = as_input([0], {"a": np.array([0.1, 0.9]), "b": np.array([1])})
        with pytest.raises(ValueError, match="dict with unrecognized keys"):
            ExampleReader(None, [""]).read(given)


def test_harmless_changes_are_compared_where_there_are_any():
    fn = PairedOutcomesCombineFn(KEY, None, ["candidate", "perturbed:noise"])
    same = np.array([0.9, 0.1])
    asked = as_input([0], {"candidate": same, "perturbed:noise": same[::-1]})
    not_asked = as_input([0], {"candidate": same})
    found = combine(fn, [[not_asked, asked], [not_asked]])
    assert found.tolist() == pytest.approx([0, 1, 0, 0, 0.8, 1])


def test_any_other_model_must_have_answered():
    fn = PairedOutcomesCombineFn(KEY, None, ["candidate", "training"])
    with pytest.raises(ValueError, match='"training" key not found'):
        combine(fn, [[as_input([0], {"candidate": np.array([0.9, 0.1])})]])
