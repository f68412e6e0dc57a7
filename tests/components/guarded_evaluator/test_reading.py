# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pytest
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.guarded_evaluator.batching import Batch
from components.guarded_evaluator.reading import LabelReader, ToExtracts, take_rows


@pytest.fixture(scope="module")
def decode():
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    return lambda *records: decoder.DecodeBatch(list(records))


@pytest.mark.parametrize(
    ("labels", "values"), [((3, 5, 9), [9, 3, 9]), (("ä", "b"), ["b", "ä"])]
)
def test_the_class_id_is_the_position_of_the_label(example, decode, labels, values):
    records = [
        example(y=v.encode() if isinstance(v, str) else v, x=1.0) for v in values
    ]
    read = LabelReader("y", labels).read(decode(*records), "eval")
    assert read == [labels.index(value) for value in values]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"y": 2}, r"an example carries \[2\]"),
        ({"y": b"1"}, r"an example carries \[b'1'\]"),
        ({"y": [0, 1]}, r"an example carries \[0, 1\]"),
        ({"y": []}, "an example carries None|hold x"),
        ({}, "split 'eval': expected the label 'y', but the examples hold x"),
    ],
)
def test_other_labels_are_refused(example, decode, features, message):
    given = {name: value for name, value in features.items() if value != []}
    with pytest.raises(InputError, match=message):
        LabelReader("y", (0, 1)).read(decode(example(x=1.0, **given)), "eval")


def test_a_single_example_without_a_label_is_refused(example, decode):
    batch = decode(example(x=1.0, y=1), example(x=2.0))
    with pytest.raises(InputError, match="carries None"):
        LabelReader("y", (0, 1)).read(batch, "eval")


@pytest.fixture
def extract():
    def run(batch, **options):
        do_fn = ToExtracts(LabelReader("y", (0, 1)), **options)
        do_fn.setup()
        made = list(do_fn.process(batch))
        surveys = [m.value for m in made if isinstance(m, beam.pvalue.TaggedOutput)]
        [extracts] = [m for m in made if isinstance(m, dict)]
        return extracts, surveys

    return run


def test_a_batch_becomes_extracts_without_the_features_that_nobody_slices_by(
    extract, example
):
    batch = Batch("eval", [example(y=k % 2, x=1.0, site=b"a") for k in range(3)], 2)
    extracts, surveys = extract(batch)
    assert surveys == []
    assert extracts["labels"].tolist() == [0, 1, 0]
    [serialized] = extracts["arrow_record_batch"].columns
    assert serialized.to_pylist() == batch.rows
    assert set(extracts["features"]) == {"guard_split", "guard_sampled"}
    assert extracts["features"]["guard_split"].tolist() == ["eval"] * 3


def test_only_the_sample_of_the_split_that_decides_is_marked(extract, example):
    rows = [example(y=0)] * 3
    for split, marked in (("eval", [True, True, False]), ("train", [False] * 3)):
        extracts, _ = extract(Batch(split, rows, 2), sampled_split="eval")
        assert extracts["features"]["guard_sampled"].tolist() == marked


def test_values_to_slice_by_are_texts(extract, example):
    rows = [
        example(y=0, site="ü".encode(), device=3, x=1.0),
        example(y=1, device=-4, x=2.0),
    ]
    extracts, [survey] = extract(
        Batch("eval", rows), slices=("site", "device", "x", "nowhere")
    )
    assert extracts["features"]["guard_slice:site"].tolist() == ["ü", None]
    assert extracts["features"]["guard_slice:device"].tolist() == ["3", "-4"]
    assert "guard_slice:x" not in extracts["features"]
    assert survey.values == {"site": {"ü"}, "device": {"3", "-4"}}
    assert survey.known == {"y", "site", "device", "x"}
    assert "fractions" in survey.reasons["x"]


def test_rows_are_taken_from_all_that_is_nested():
    taken = take_rows({"a": np.arange(4), "b": {"c": np.eye(4)}}, np.array([2, 0]))
    assert taken["a"].tolist() == [2, 0]
    assert taken["b"]["c"].tolist() == np.eye(4)[[2, 0]].tolist()
