# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.guarded_evaluator.measure import (
    JudgedModel,
    LabelReader,
    make_eval_config,
)


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


def test_every_model_is_asked_for_its_own_output():
    models = [
        JudgedModel("candidate", "a", "serving_default", "probabilities"),
        JudgedModel("baseline", "b", "serving_default"),
    ]
    config = make_eval_config(models)
    assert [s.prediction_key for s in config.model_specs] == ["probabilities", ""]
    paired = config.metrics_specs[1].metrics[0]
    assert (paired.class_name, paired.config) == (
        "PairedOutcomes",
        '"reference": "candidate"',
    )


def test_a_lone_model_is_compared_with_nothing():
    config = make_eval_config([JudgedModel("candidate", "a", "serving_default")])
    assert len(config.metrics_specs) == 1
