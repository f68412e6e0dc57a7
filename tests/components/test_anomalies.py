# SPDX-License-Identifier: Apache-2.0
import pytest
from tensorflow_data_validation.utils import display_util
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.types import standard_artifacts

from components.anomalies import (
    ANOMALIES_FILE,
    BLESSED_PROPERTY,
    anomalies_of,
    by_split,
    write_anomalies,
)
from components.causes import Severity
from components.findings import Subject, find

Info = anomalies_pb2.AnomalyInfo

BLOCK = find("missing_class", "No example of 3.", subject=Subject(split="eval"))
WARN = find("class_imbalance", "Class 2 is rare.", subject=Subject(split="train"))
INFO = find("class_imbalance", "Class 2 is fine.", severity=Severity.INFO)
OTHER = find("low_variance", "It is flat.", subject=Subject(feature="width"))


def test_findings_stand_under_their_split():
    assert by_split([BLOCK, WARN], ["train", "eval"]) == {
        "train": (WARN,),
        "eval": (BLOCK,),
    }


def test_finding_about_no_known_split_stands_under_each():
    lost = find("check_failed", "Gone.", subject=Subject(split="validation"))
    everything = find("check_failed", "All.")
    both = (lost, everything)
    assert by_split(iter(both), ["a", "b"]) == {"a": both, "b": both}


def test_no_findings_are_no_anomalies():
    assert by_split([], ["a"]) == {"a": ()}
    anomalies = anomalies_of([], "label")
    assert not anomalies.anomaly_info
    assert not anomalies.HasField("dataset_anomaly_info")


@pytest.mark.parametrize(
    ("findings", "severity"),
    [
        pytest.param([BLOCK], Info.ERROR, id="block"),
        pytest.param([WARN], Info.WARNING, id="warn"),
        pytest.param([BLOCK, WARN], Info.ERROR, id="block-before-warn"),
        pytest.param([WARN, BLOCK], Info.ERROR, id="warn-before-block"),
    ],
)
def test_feature_carries_its_worst_severity(findings, severity):
    info = anomalies_of(findings, "label").anomaly_info["label"]
    assert info.severity == severity
    assert list(info.path.step) == ["label"]
    assert len(info.reason) == len(findings)
    for finding in findings:
        assert finding.message in info.description
        assert finding.remedy in info.description


def test_information_is_no_anomaly():
    assert not anomalies_of([INFO], "label").anomaly_info
    assert not anomalies_of([INFO]).HasField("dataset_anomaly_info")


def test_finding_names_its_own_feature():
    anomalies = anomalies_of([WARN, OTHER], "label")
    assert set(anomalies.anomaly_info) == {"label", "width"}


def test_finding_without_feature_is_an_anomaly_of_the_data_set():
    anomalies = anomalies_of([BLOCK])
    assert not anomalies.anomaly_info
    assert anomalies.dataset_anomaly_info.severity == Info.ERROR


@pytest.mark.parametrize(
    ("name", "serialized"),
    [("label", "label"), ("a b/é", "a b/é"), ("a.b", "'a.b'"), ("a'b", "'a''b'")],
)
def test_names_are_serialized_as_tfdv_does(name, serialized):
    (entry,) = anomalies_of([BLOCK], name).anomaly_info.items()
    assert entry[0] == serialized
    assert list(entry[1].path.step) == [name]


@pytest.fixture
def artifact(tmp_path):
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(tmp_path)
    return anomalies


def read(artifact, split):
    with open(f"{artifact.uri}/Split-{split}/{ANOMALIES_FILE}", "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())


def test_written_anomalies_are_shown_by_tfdv(artifact):
    found = {"train": [WARN, BLOCK], "eval": (finding for finding in [OTHER])}
    write_anomalies(artifact, found, feature="label", span=4)
    table = display_util.get_anomalies_dataframe(read(artifact, "train"))
    assert list(table.index) == ["'label'"]
    assert table["Anomaly short description"].tolist() == ["Multiple errors"]
    assert set(read(artifact, "eval").anomaly_info) == {"width"}
    assert artifact.splits == ["train", "eval"]
    assert artifact.span == 4


def test_only_findings_that_block_take_the_blessing(artifact):
    write_anomalies(artifact, {"train": [WARN, INFO], "eval": [BLOCK], "test": []})
    blessed = artifact.get_json_value_custom_property(BLESSED_PROPERTY)
    assert blessed == {"train": 1, "eval": 0, "test": 1}


def test_names_are_those_of_tfx():
    assert ANOMALIES_FILE == example_validator.DEFAULT_FILE_NAME
    assert BLESSED_PROPERTY == example_validator.ARTIFACT_PROPERTY_BLESSED_KEY
