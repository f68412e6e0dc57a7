# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from sklearn.datasets import load_breast_cancer
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import artifact_io
from components.artifacts import GuardFindings
from components.errors import InputError
from components.feature_validator.config import FeatureConfig
from components.feature_validator.executor import Executor
from components.feature_validator.statistics import read_split

DATA = load_breast_cancer()
ORDER = np.random.default_rng(0).permutation(len(DATA.data))
TRAIN, EVAL = ORDER[:400], ORDER[400:]


def columns(rows, *, spoil=None, **more):
    """Columns of TFDV's batches: lists of values, None where an example has none."""
    matrix = DATA.data[rows] if spoil is None else spoil(DATA.data[rows])
    made = {f"f{i}": (matrix[:, i].tolist(), pa.float32()) for i in range(30)}
    made["label"] = (DATA.target[rows].tolist(), pa.int64())
    return {**made, **more}


@pytest.fixture(scope="session")
def compute(tmp_path_factory):
    """Runs TFDV on columns by split; equal columns are computed once."""
    path = tmp_path_factory.mktemp("statistics") / "computed.pb"
    computed = {}

    def compute(named):
        key = str(named)
        if key not in computed:
            batch = pa.RecordBatch.from_arrays(
                [
                    pa.array(
                        [v if v is None or isinstance(v, list) else [v] for v in vs],
                        pa.large_list(kind),
                    )
                    for vs, kind in named.values()
                ],
                list(named),
            )
            half = batch.num_rows // 2
            with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
                _ = (
                    pipeline
                    | beam.Create([batch.slice(0, half), batch.slice(half)])
                    | tfdv.GenerateStatistics(tfdv.StatsOptions())
                    | tfdv.WriteStatisticsToBinaryFile(str(path))
                )
            computed[key] = path.read_bytes()
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(computed[key])

    return compute


@pytest.fixture
def run(tmp_path, compute):
    """Runs the executor on columns by split; returns its verdict and artifacts."""

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    def run(splits, *, config=None, schema=None, anomalies=None):
        statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
        statistics.split_names = artifact_utils.encode_split_names(list(splits))
        statistics.span = 7
        for split, named in splits.items():
            folder = tmp_path / "statistics" / f"Split-{split}"
            folder.mkdir(parents=True)
            computed = compute(named)
            (folder / "FeatureStats.pb").write_bytes(computed.SerializeToString())
        inputs = {"statistics": [statistics]}
        if schema is not None:
            source = artifact(standard_artifacts.Schema, "schema")
            (tmp_path / "schema").mkdir()
            tfdv.write_schema_text(schema, f"{source.uri}/schema.pbtxt")
            inputs["schema"] = [source]
        if anomalies is not None:
            source = artifact(standard_artifacts.ExampleAnomalies, "given")
            source.split_names = artifact_utils.encode_split_names(list(anomalies))
            for split, proto in anomalies.items():
                folder = tmp_path / "given" / f"Split-{split}"
                folder.mkdir(parents=True)
                (folder / "SchemaDiff.pb").write_bytes(proto.SerializeToString())
            inputs["schema_anomalies"] = [source]
        outputs = {
            "findings": [artifact(GuardFindings, "findings")],
            "anomalies": [artifact(standard_artifacts.ExampleAnomalies, "anomalies")],
        }
        config = config or FeatureConfig(label_key="label")
        Executor().Do(inputs, outputs, {"config": config.to_json()})
        (findings,), (written,) = outputs.values()
        return artifact_io.read_findings(findings), findings, written

    return run


GOOD = {"train": columns(TRAIN), "eval": columns(EVAL)}


def test_good_data_pass(run):
    verdict, findings, anomalies = run(GOOD)
    assert {finding.cause for finding in verdict.findings} == {"unscaled_input"}
    assert findings.get_int_custom_property("passed") == 1
    assert anomalies.span == 7
    assert anomalies.get_json_value_custom_property("blessed") == {
        "train": 1,
        "eval": 1,
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: (rows - rows.mean(axis=0)) / rows.std(axis=0),
        lambda rows: rows * 1000,
        lambda rows: rows[:, ::-1],
        lambda rows: rows[:, np.random.default_rng(0).permutation(30)],
    ],
    ids=["standardised", "times-1000", "reversed", "shuffled"],
)
def test_skew_blocks_and_is_shown(run, spoil):
    verdict, _, written = run({**GOOD, "eval": columns(EVAL, spoil=spoil)})
    assert {finding.cause for finding in verdict.blocking} == {"train_eval_skew"}
    assert written.get_json_value_custom_property("blessed") == {"train": 1, "eval": 0}
    shown = anomalies_pb2.Anomalies()
    with open(f"{written.uri}/Split-eval/SchemaDiff.pb", "rb") as file:
        shown.ParseFromString(file.read())
    assert shown.dataset_anomaly_info.severity == anomalies_pb2.AnomalyInfo.ERROR


# TFDV's utils/variance_util.py takes the mean of infinite values.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_what_is_wrong_with_single_values_is_found(run):
    values = np.arange(len(EVAL), dtype=float).tolist()
    more = {
        "nan": ([float("nan"), *values[1:]], pa.float32()),
        "inf": ([float("inf"), float("-inf"), *values[2:]], pa.float32()),
        "null": ([None, *values[1:]], pa.float32()),
        "empty": ([[], *values[1:]], pa.float32()),
        "ragged": ([[1.0, 2.0], *values[1:]], pa.float32()),
        "bytes": ([b"\xff\xfe"] * len(EVAL), pa.large_binary()),
    }
    verdict, *_ = run({"train": columns(EVAL, **more)})
    found = {finding.subject.feature: finding for finding in verdict.blocking}
    assert {name: finding.cause for name, finding in found.items()} == {
        "nan": "not_a_number",
        "inf": "not_a_number",
        "null": "schema_anomaly",
        "empty": "schema_anomaly",
        "ragged": "schema_anomaly",
    }
    assert found["nan"].evidence == {"nan": 1, "infinite": 0}
    assert found["inf"].evidence == {"nan": 0, "infinite": 2}
    assert "in 1 of 169 examples" in found["null"].message
    assert "in 1 of 169 examples" in found["empty"].message


class TestSchema:
    """A schema that says what no statistics can: that f0 is below 1."""

    @pytest.fixture
    def schema(self, compute):
        schema = tfdv.infer_schema(compute(GOOD["train"]))
        for feature in schema.feature:
            if feature.name in ("f0", "f1"):
                feature.float_domain.max = 1
        return schema

    def test_is_validated_where_no_anomalies_are_given(self, run, schema):
        config = FeatureConfig(label_key="label", ignore=("f1",))
        verdict, *_ = run(GOOD, schema=schema, config=config)
        assert [str(finding.subject) for finding in verdict.blocking] == [
            "split train, feature f0",
            "split eval, feature f0",
        ]

    def test_anomalies_of_example_validator_take_part(self, run, schema, compute):
        anomalies = {
            split: tfdv.validate_statistics(compute(named), schema)
            for split, named in GOOD.items()
        }
        anomalies["other"] = anomalies["eval"]  # Its statistics are not judged.
        verdict, *_ = run(GOOD, anomalies=anomalies)
        assert {finding.cause for finding in verdict.blocking} == {"schema_anomaly"}
        assert {finding.subject.feature for finding in verdict.blocking} == {"f0", "f1"}
        assert {finding.subject.split for finding in verdict.blocking} == {
            "train",
            "eval",
        }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FeatureConfig(reference_split="fit"), r"split 'fit'.*\['train', 'eval'\]"),
        (FeatureConfig(exclude_splits=("x",)), r"got \['x'\]"),
        (FeatureConfig(features=("f1", "f77")), "feature 'f77'.*did you mean 'f7'"),
        (FeatureConfig(image="picture"), "feature 'picture'.*correct the name"),
    ],
)
def test_wrong_use_is_an_error(run, config, message):
    with pytest.raises(InputError, match=message):
        run(GOOD, config=config)


def test_an_empty_split_is_an_error(run):
    empty = {"f0": ([], pa.float32())}
    with pytest.raises(InputError, match="split eval: expected examples"):
        run({**GOOD, "eval": empty})


def test_excluded_splits_are_not_looked_at(run):
    config = FeatureConfig(label_key="label", exclude_splits=("eval",))
    verdict, _, written = run(
        {**GOOD, "eval": columns(EVAL, spoil=lambda rows: rows * 1000)}, config=config
    )
    assert verdict.passed
    assert artifact_utils.decode_split_names(written.split_names) == ["train"]


def test_of_sliced_statistics_the_whole_is_read(compute):
    statistics = compute(GOOD["eval"])
    statistics.datasets[0].name = "All Examples"
    statistics.datasets.add(name="label_1", num_examples=1)
    assert read_split(statistics, "eval").num_examples == len(EVAL)
    assert read_split(statistics_pb2.DatasetFeatureStatisticsList(), "x").features == {}


def test_the_fixture_of_the_checks_is_like_tfdv(compute, feature):
    # The checks are tested on statistics made by a shortcut.
    read = read_split(compute(GOOD["train"]), "train").features
    points = np.linspace(-5, 3000, 400)
    for i in range(30):
        ours = feature("x", DATA.data[TRAIN, i]).numbers
        theirs = read[f"f{i}"].numbers
        assert theirs.mean == pytest.approx(ours.mean, rel=1e-4)
        assert theirs.std == pytest.approx(ours.std, rel=1e-4)
        np.testing.assert_allclose(theirs.cdf(points), ours.cdf(points), atol=0.02)
