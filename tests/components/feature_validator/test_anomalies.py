# SPDX-License-Identifier: Apache-2.0
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.feature_validator.anomalies import read_anomalies


def parse(text):
    return text_format.Parse(text, anomalies_pb2.Anomalies())


def test_good_data_have_none():
    assert read_anomalies(anomalies_pb2.Anomalies(), "train") == ()


@pytest.mark.parametrize(
    ("severity", "is_error"), [("ERROR", True), ("WARNING", False), ("UNKNOWN", True)]
)
def test_of_a_feature(severity, is_error):
    (anomaly,) = read_anomalies(
        parse(
            "anomaly_info { key: \"'a.b'\" value { path { step: 'a.b' } "
            f"severity: {severity} description: 'so' "
            "reason { type: UNEXPECTED_DATA_TYPE } } }"
        ),
        "eval",
    )
    assert (anomaly.split, anomaly.feature) == ("eval", "a.b")
    assert anomaly.types == ("UNEXPECTED_DATA_TYPE",)
    assert anomaly.description == "so"
    assert anomaly.is_error is is_error


def test_of_the_data_set():
    (anomaly,) = read_anomalies(
        parse("dataset_anomaly_info { severity: ERROR short_description: 'few' }"),
        "eval",
    )
    assert anomaly.feature is None
    assert anomaly.description == "few"
