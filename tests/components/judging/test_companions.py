# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.guarded_evaluator import one_by_one
from components.judging import companions
from components.records.evaluation import CANDIDATE, ONE_BY_ONE

X = np.random.default_rng(0).normal(size=(300, 3))
IDS = np.arange(300) % 3


@pytest.fixture
def split(make_split):
    return make_split("eval", X, IDS)


def softmax(rows):
    exponents = np.exp(rows)
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_a_model_that_looks_at_each_row_alone_moves_nothing(make_model, split):
    pair = companions.compare(make_model({CANDIDATE: softmax}), split, "judged")
    assert (pair.other, pair.split, pair.num_examples) == (ONE_BY_ONE, "judged", 32)
    assert pair.mean_distance == pytest.approx(0, abs=1e-12)


def test_a_model_that_depends_on_the_batch_moves(make_model, split):
    model = make_model({CANDIDATE: lambda rows: softmax(rows - rows.mean(axis=0))})
    assert companions.compare(model, split, "eval").mean_distance > 0.1


def test_what_is_no_number_either_way_does_not_count(make_model, split):
    model = make_model({CANDIDATE: lambda rows: np.full((len(rows), 3), np.nan)})
    pair = companions.compare(model, split, "eval")
    assert (pair.mean_distance, pair.both_wrong) == (0.0, 32)


def test_what_is_no_number_only_alone_counts(make_model, split):
    def answer(rows):
        return softmax(rows) if len(rows) > 1 else np.full((1, 3), np.nan)

    pair = companions.compare(make_model({CANDIDATE: answer}), split, "eval")
    assert pair.mean_distance == 1.0


def test_no_example_is_compared_where_there_is_none(make_model, make_split):
    empty = make_split("eval", X[:0], IDS[:0])
    assert companions.compare(make_model({}), empty, "eval").num_examples == 0


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100, 256, 300])
@pytest.mark.parametrize("copies", [1, 5])
def test_the_examples_are_those_that_the_pipeline_chooses(
    make_split, tmp_path, count, copies
):
    import tensorflow as tf

    texts = [str(i // copies).encode() for i in range(count)]
    with tf.io.TFRecordWriter(str(tmp_path / "data")) as writer:
        for text in texts:
            writer.write(text)
    chosen = companions.choose(make_split("eval", X[:count], IDS[:count], texts=texts))
    expected = one_by_one.choose_examples([str(tmp_path / "data")])
    assert [texts[i] for i in chosen] == expected
