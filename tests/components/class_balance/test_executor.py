# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from sklearn.datasets import load_digits
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import artifact_io
from components.artifacts import ClassWeights, GuardFindings
from components.class_balance import core
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.executor import Executor
from components.class_balance.statistics import label_statistics_options
from components.errors import InputError

DIGITS = load_digits().target.tolist()
TRAIN, EVAL = DIGITS[:1437], DIGITS[1437:]


@pytest.fixture
def run(tmp_path, compute_statistics):
    """Runs the executor on labels by split; returns its output artifacts."""

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    def run(
        splits,
        *,
        label_key="label",
        options=None,
        config=None,
        schema=None,
        sample_rates=None,
    ):
        statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
        statistics.split_names = artifact_utils.encode_split_names(list(splits))
        statistics.span = 7
        if sample_rates is not None:
            statistics.set_json_value_custom_property(
                "sample_rate_by_split", sample_rates
            )
        for split, labels in splits.items():
            kind = pa.large_binary() if isinstance(labels[0], str) else pa.int64()
            computed = compute_statistics(
                {"label": (labels, kind)}, options or label_statistics_options("label")
            )
            folder = tmp_path / "statistics" / f"Split-{split}"
            folder.mkdir(parents=True)
            (folder / "FeatureStats.pb").write_bytes(computed.SerializeToString())
        inputs = {"statistics": [statistics]}
        if schema is not None:
            source = artifact(standard_artifacts.Schema, "schema")
            (tmp_path / "schema").mkdir()
            tfdv.write_schema_text(schema, f"{source.uri}/schema.pbtxt")
            inputs["schema"] = [source]
        outputs = {
            "findings": [artifact(GuardFindings, "findings")],
            "class_weights": [artifact(ClassWeights, "class_weights")],
            "anomalies": [artifact(standard_artifacts.ExampleAnomalies, "anomalies")],
        }
        Executor().Do(
            inputs,
            outputs,
            {
                "label_key": label_key,
                "config": (config or ClassBalanceConfig()).to_json(),
            },
        )
        return {key: made for key, (made,) in outputs.items()}

    return run


def read_anomalies(outputs, split):
    anomalies = anomalies_pb2.Anomalies()
    with open(f"{outputs['anomalies'].uri}/Split-{split}/SchemaDiff.pb", "rb") as file:
        anomalies.ParseFromString(file.read())
    return anomalies


@pytest.mark.parametrize("kind", [int, "digit {}".format], ids=["integers", "texts"])
def test_balanced_digits_pass(run, kind):
    outputs = run({"train": [*map(kind, TRAIN)], "eval": [*map(kind, EVAL)]})
    verdict = artifact_io.read_findings(outputs["findings"])
    assert verdict.findings == ()
    assert outputs["findings"].get_int_custom_property("passed") == 1
    table = artifact_io.read_class_table(outputs["class_weights"])
    assert table.labels == tuple(map(kind, range(10)))
    assert sum(table.train_counts) == len(TRAIN)
    assert table.weights == pytest.approx([1] * 10, abs=0.05)
    anomalies = outputs["anomalies"]
    assert artifact_utils.decode_split_names(anomalies.split_names) == ["train", "eval"]
    assert anomalies.span == 7
    assert anomalies.get_json_value_custom_property("blessed") == {
        "train": 1,
        "eval": 1,
    }
    assert not read_anomalies(outputs, "train").anomaly_info


def test_class_missing_from_one_split_blocks_and_is_shown_there(run):
    outputs = run(
        {"train": TRAIN, "eval": [label for label in EVAL if label != 3]},
        sample_rates='{"train": 1.0, "eval": 0.5}',
    )
    verdict = artifact_io.read_findings(outputs["findings"])
    (finding,) = verdict.blocking
    assert finding.cause == "missing_class"
    assert finding.evidence["absent"] == [3]
    assert finding.evidence["sample_rate"] == 0.5
    assert outputs["findings"].get_int_custom_property("num_blocking") == 1
    assert outputs["anomalies"].get_json_value_custom_property("blessed") == {
        "train": 1,
        "eval": 0,
    }
    info = read_anomalies(outputs, "eval").anomaly_info["label"]
    assert info.severity == anomalies_pb2.AnomalyInfo.ERROR
    assert finding.message in info.description


def test_classes_of_the_schema_are_expected(run):
    schema = schema_pb2.Schema()
    label = schema.feature.add(name="label", type=schema_pb2.INT)
    label.int_domain.min, label.int_domain.max = 0, 10
    outputs = run({"train": TRAIN}, schema=schema)
    (finding,) = artifact_io.read_findings(outputs["findings"]).blocking
    assert finding.evidence["absent"] == [10]
    assert artifact_io.read_class_table(outputs["class_weights"]).train_counts[10] == 0


def test_a_class_that_the_schema_does_not_list_blocks(run):
    schema = schema_pb2.Schema()
    label = schema.feature.add(name="label", type=schema_pb2.INT)
    label.int_domain.min, label.int_domain.max = 0, 8
    outputs = run({"train": TRAIN, "eval": EVAL}, schema=schema)
    verdict = artifact_io.read_findings(outputs["findings"])
    assert [finding.cause for finding in verdict.blocking] == ["schema_anomaly"] * 2
    assert verdict.blocking[0].subject.class_name == "9"


def test_the_domain_of_a_one_hot_label_lists_no_classes(run):
    one_hot = np.eye(10, dtype=int)
    schema = schema_pb2.Schema()
    label = schema.feature.add(name="label", type=schema_pb2.INT)
    label.int_domain.min, label.int_domain.max = 0, 1
    outputs = run(
        {"train": one_hot[TRAIN].tolist(), "eval": one_hot[EVAL].tolist()},
        options=label_statistics_options("label", num_classes=10, one_hot=True),
        schema=schema,
    )
    assert artifact_io.read_findings(outputs["findings"]).findings == ()
    table = artifact_io.read_class_table(outputs["class_weights"])
    assert table.labels == tuple(range(10))
    assert sum(table.priors) == pytest.approx(1)


def test_swapped_labels_block_as_skew(run):
    outputs = run({"train": [0] * 90 + [1] * 10, "eval": [0] * 5 + [1] * 45})
    (finding,) = artifact_io.read_findings(outputs["findings"]).blocking
    assert finding.cause == "train_eval_skew"


def test_a_quantity_is_refused(run):
    with pytest.raises(InputError, match="regression is not supported"):
        run({"train": [7 * k * k for k in range(60)]})


def test_statistics_that_do_not_count_the_label_block(run):
    outputs = run({"train": TRAIN}, options=tfdv.StatsOptions())
    (finding,) = artifact_io.read_findings(outputs["findings"]).findings
    assert finding.cause == "check_failed"
    assert "label_statistics_options" in finding.remedy
    assert artifact_io.read_class_table(outputs["class_weights"]).labels == ()
    assert read_anomalies(outputs, "train").anomaly_info


def test_excluded_splits_are_not_looked_at(run):
    config = ClassBalanceConfig(exclude_splits=("serving",))
    outputs = run({"train": TRAIN, "serving": [1]}, config=config)
    assert artifact_io.read_findings(outputs["findings"]).passed
    assert artifact_utils.decode_split_names(outputs["anomalies"].split_names) == [
        "train"
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"label_key": "lable"}, "did you mean 'label'"),
        ({"config": ClassBalanceConfig(train_split="fit")}, "split 'fit'"),
        ({"config": ClassBalanceConfig(exclude_splits=("x",))}, r"got \['x'\]"),
    ],
    ids=["label", "train-split", "excluded-split"],
)
def test_wrong_use_is_an_error(run, wrong, message):
    with pytest.raises(InputError, match=message):
        run({"train": [0, 1]}, **wrong)


def test_a_check_that_raises_blocks(run, monkeypatch):
    def find_trouble(labels, config):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(core, "CHECKS", (find_trouble, *core.CHECKS))
    outputs = run({"train": [0, 1], "eval": [0]})
    verdict = artifact_io.read_findings(outputs["findings"])
    assert [finding.cause for finding in verdict.blocking] == [
        "missing_class",
        "check_failed",
    ]
    assert (
        "find_trouble could not run: ZeroDivisionError" in verdict.blocking[1].message
    )
    assert outputs["anomalies"].get_json_value_custom_property("blessed") == {
        "train": 0,
        "eval": 0,
    }
