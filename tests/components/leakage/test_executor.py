# SPDX-License-Identifier: Apache-2.0
import gzip

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components import artifact_io
from components.artifacts import GuardFindings
from components.errors import InputError
from components.leakage.config import LeakageConfig
from components.leakage.executor import Executor

Info = anomalies_pb2.AnomalyInfo


@pytest.fixture
def examples_of(write_examples):
    """Makes an Examples artifact of span 7, unless another is given."""

    def make(folder, splits, span=7):
        return write_examples(folder, splits, span)

    return make


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    """One for all tests: TFX packs itself for remote workers whenever it makes one."""
    return Executor(
        base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(tmp_path_factory.mktemp("scratch")),
            unique_id="1",
        )
    )


@pytest.fixture
def run(executor, tmp_path):
    """Runs the executor; returns the verdict and the anomalies artifact."""

    def execute(examples, label_key="label", schema=None, clean=None, **config):
        findings, anomalies = GuardFindings(), standard_artifacts.ExampleAnomalies()
        findings.uri, anomalies.uri = str(tmp_path / "found"), str(tmp_path / "odd")
        examples = examples if isinstance(examples, list) else [examples]
        inputs = {"all_examples": examples}
        outputs = {"findings": [findings], "anomalies": [anomalies]}
        if schema:
            inputs["schema"] = [schema]
        if clean:
            outputs["examples"] = [clean]
        executor.Do(
            inputs,
            outputs,
            {"label_key": label_key, "config": LeakageConfig(**config).to_json()},
        )
        verdict = artifact_io.read_findings(findings)
        assert findings.get_int_custom_property("passed") == verdict.passed
        return verdict, anomalies

    return execute


def anomalies_in(artifact, split):
    path = f"{artifact.uri}/Split-{split}/SchemaDiff.pb"
    return anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))


def test_untouched_digits_pass(run, examples_of, digits, tmp_path):
    examples = examples_of(
        tmp_path / "examples", {"train": digits[:1437], "eval": digits[1437:]}
    )
    verdict, anomalies = run(examples, ignore=("row",))
    assert verdict.findings == ()
    assert anomalies.splits == ["train", "eval"]
    assert anomalies.span == 7
    assert anomalies.get_json_value_custom_property("blessed") == {
        "train": 1,
        "eval": 1,
    }
    assert not anomalies_in(anomalies, "eval").HasField("dataset_anomaly_info")


def test_planted_duplicates_and_conflicts_are_reported(
    run, examples_of, digits, example, tmp_path
):
    pixels = [0.0, 5.0, 13.0]
    train = [*digits[:100], example(pixels=pixels, label=1)]
    evaluated = [*digits[98:104], example(pixels=pixels, label=2)]
    examples = examples_of(tmp_path / "examples", {"train": train, "eval": evaluated})
    verdict, anomalies = run(examples, ignore=("row",))
    leak, conflict = verdict.findings
    assert (leak.cause, leak.blocks) == ("duplicate_leakage", True)
    assert leak.measured == 3 / 7
    assert (conflict.cause, conflict.blocks) == ("conflicting_labels", False)
    assert conflict.measured == 2 / 108

    blessed = anomalies.get_json_value_custom_property("blessed")
    assert blessed == {"train": 1, "eval": 0}
    found = anomalies_in(anomalies, "eval")
    assert found.dataset_anomaly_info.severity == Info.ERROR
    assert "3 of 7 examples" in found.dataset_anomaly_info.description
    assert found.anomaly_info["label"].severity == Info.WARNING
    assert not anomalies_in(anomalies, "train").HasField("dataset_anomaly_info")


def test_duplicate_in_another_artifact_is_found(run, examples_of, example, tmp_path):
    first = {"train": [example(x=1)], "eval": [example(x=2)]}
    second = {"train": [example(x=2)], "eval": [example(x=3, label=1)]}
    verdict, anomalies = run(
        [
            examples_of(tmp_path / "1", first, span=1),
            examples_of(tmp_path / "2", second, span=2),
        ]
    )
    (leak,) = verdict.findings
    assert leak.measured == 0.5
    assert anomalies.span == 2


@pytest.mark.parametrize("files", ["file without records", "no file"])
def test_empty_split_blocks(run, examples_of, example, tmp_path, files):
    examples = examples_of(
        tmp_path / "examples", {"train": [example(x=1, label=1)], "eval": []}
    )
    if files == "no file":
        (tmp_path / "examples/Split-eval/data_tfrecord-00000-of-00001.gz").unlink()
    verdict, anomalies = run(examples)
    assert [finding.cause for finding in verdict.findings] == ["insufficient_evidence"]
    assert not verdict.passed
    assert anomalies.get_json_value_custom_property("blessed")["eval"] == 0


def test_single_split_blocks(run, examples_of, example, tmp_path):
    examples = examples_of(tmp_path / "examples", {"train": [example(x=1, label=1)]})
    verdict, _ = run(examples)
    (finding,) = verdict.findings
    assert finding.cause == "check_failed"
    assert "no second split" in finding.message


def test_absent_label_is_refused(run, examples_of, example, tmp_path):
    records = [example(x=1, species=1)]
    examples = examples_of(tmp_path / "examples", {"train": records, "eval": records})
    with pytest.raises(InputError, match="'spezies'.*did you mean 'species'"):
        run(examples, label_key="spezies")


def test_records_of_another_kind_are_refused(run, examples_of, example, tmp_path):
    splits = {"train": [example(x=1, label=1)], "eval": [b"\xff"]}
    with pytest.raises(InputError, match=r"split 'eval'.* 1 of 1 records are not"):
        run(examples_of(tmp_path / "examples", splits))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _flip(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[20] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def _replace(path):
    path.write_bytes(b"not compressed")


@pytest.mark.parametrize("damage", [_cut, _flip, _replace])
def test_damaged_file_is_refused_with_its_split(
    run, examples_of, digits, tmp_path, damage
):
    splits = {"train": digits[:10], "eval": digits[10:20]}
    examples = examples_of(tmp_path / "examples", splits)
    damage(tmp_path / "examples/Split-eval/data_tfrecord-00000-of-00001.gz")
    with pytest.raises(InputError, match="split 'eval' in .*Split-eval") as raised:
        run(examples)
    assert "\n" not in str(raised.value)


def test_clean_examples_are_described_like_those_that_came(
    run, examples_of, digits, tmp_path
):
    splits = {"train": digits[:100], "eval": digits[95:120]}
    examples = [
        examples_of(tmp_path / "1", splits, span=1),
        examples_of(tmp_path / "2", {"train": digits[200:220], "eval": []}, span=2),
    ]
    clean = standard_artifacts.Examples()
    clean.uri = str(tmp_path / "clean")
    verdict, _ = run(examples, ignore=("row",), quarantine=True, clean=clean)
    assert verdict.passed
    assert [finding.cause for finding in verdict.findings] == ["duplicate_leakage"]
    assert sorted(clean.splits) == ["eval", "train"]
    assert clean.span == 2
    for name in ("payload_format", "file_format"):
        came = examples[0].get_string_custom_property(name)
        assert clean.get_string_custom_property(name) == came
    patterns = {
        split: examples_utils.get_split_file_patterns([clean], split)
        for split in ("train", "eval")
    }
    read = {
        split: [
            record
            for pattern in some
            for path in tf.io.gfile.glob(pattern)
            for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator()
        ]
        for split, some in patterns.items()
    }
    assert sorted(read["train"]) == sorted(digits[:100] + digits[200:220])
    assert sorted(read["eval"]) == sorted(digits[100:120])


def test_pipeline_that_fails_blocks(run, examples_of, digits, tmp_path, monkeypatch):
    def broken(self):
        raise OSError("no space left")

    monkeypatch.setattr(Executor, "_make_beam_pipeline", broken)
    verdict, anomalies = run(
        examples_of(tmp_path / "examples", {"train": digits[:1], "eval": digits[1:2]})
    )
    (finding,) = verdict.findings
    assert finding.cause == "check_failed"
    assert "OSError: no space left" in finding.message
    assert anomalies.get_json_value_custom_property("blessed") == {
        "train": 0,
        "eval": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload_format", "FORMAT_TF_SEQUENCE_EXAMPLE"),
        ("file_format", "FORMAT_PARQUET"),
    ],
)
def test_other_formats_are_refused(run, examples_of, digits, tmp_path, name, value):
    splits = {"train": digits[:1], "eval": digits[1:2]}
    examples = examples_of(tmp_path / "examples", splits)
    examples.set_string_custom_property(name, value)
    with pytest.raises(InputError, match=value):
        run(examples)


def test_artifacts_of_different_splits_are_refused(run, examples_of, digits, tmp_path):
    first = examples_of(tmp_path / "1", {"train": digits[:1], "eval": digits[1:2]})
    second = examples_of(tmp_path / "2", {"train": digits[:1], "test": digits[1:2]})
    with pytest.raises(InputError, match="must have the splits"):
        run([first, second])


def test_unknown_reference_split_is_refused(run, examples_of, digits, tmp_path):
    splits = {"train": digits[:1], "eval": digits[1:2]}
    examples = examples_of(tmp_path / "examples", splits)
    with pytest.raises(InputError, match="'fit' must be a split"):
        run(examples, reference_split="fit")


def test_names_are_held_against_the_schema_before_anything_is_read(
    run, examples_of, tmp_path
):
    examples = examples_of(tmp_path / "examples", {"train": [], "eval": []})
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    content = schema_pb2.Schema(feature=[schema_pb2.Feature(name="species")])
    io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", content)
    with pytest.raises(InputError, match="feature of the schema.*'species'"):
        run(examples, label_key="spezies", schema=schema)
