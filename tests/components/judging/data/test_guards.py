# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from sklearn import datasets

from components.class_balance.config import ClassBalanceConfig
from components.errors import InputError
from components.feature_validator.config import FeatureConfig
from components.judging.data import guards, statistics
from components.judging.data.datasets import of_data
from components.leakage.config import LeakageConfig


def faulty_table():
    """Breast cancer with a scaled column, duplicates, and a class that is rare."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    keep = np.flatnonzero((y == 1) | (np.arange(len(y)) % 9 == 0))
    x, y = x[keep], y[keep]
    train, evaluation = (x[:250], y[:250]), (x[250:].copy(), y[250:])
    evaluation[0][:, 3] *= 25.4
    both = [
        np.concatenate(pair) for pair in zip(evaluation, (x[:20], y[:20]), strict=True)
    ]
    return train, tuple(both)


def faulty_pictures():
    """Digits with pictures in both splits, and one class that eval lacks."""
    data = datasets.load_digits()
    x, y = (data.images * 15).astype(np.uint8)[:600], data.target[:600]
    train, evaluation = (x[:400], y[:400]), (x[390:], y[390:])
    kept = evaluation[1] != 4
    return train, (evaluation[0][kept], evaluation[1][kept])


@pytest.fixture(scope="module")
def table():
    with of_data(*faulty_table()) as data:
        yield data


@pytest.fixture(scope="module")
def found(table):
    return guards.find(table)


def causes(findings):
    return {finding.cause for finding in findings if finding.blocks}


def test_faults_of_the_data_are_found(found):
    assert {"train_eval_skew", "duplicate_leakage"} <= causes(found)
    (skew,) = [f for f in found if f.cause == "train_eval_skew" and f.subject.feature]
    assert skew.subject.feature == "column 3"


@pytest.fixture
def cheap(monkeypatch):
    """Leaves Beam out: what fails, or what is refused, is seen before it starts."""
    monkeypatch.setattr(statistics, "compute", lambda *_: {})


def test_a_guard_that_raises_blocks_and_the_others_run(table, monkeypatch, cheap):
    def fail(*arguments, **options):
        raise RuntimeError("no memory")

    monkeypatch.setattr(guards, "Search", fail)
    monkeypatch.setattr(guards.class_balance_checks, "read_labels", fail)
    monkeypatch.setattr(guards.feature_checks, "check_splits", fail)
    findings = guards.find(table)
    assert [f.cause for f in findings] == ["check_failed"] * 3
    assert all(f.blocks for f in findings)
    names = "ClassBalanceValidator", "FeatureValidator", "LeakageValidator"
    assert [f.found_by for f in findings] == list(names)


def test_statistics_that_fail_block_and_leakage_is_looked_for(table, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no disk")

    monkeypatch.setattr(statistics, "compute", fail)
    monkeypatch.setattr(guards, "Search", fail)
    findings = guards.find(table)
    assert [f.found_by for f in findings] == [
        "statistics of the data",
        "LeakageValidator",
    ]


@pytest.mark.parametrize(
    "limits",
    [
        {"leakage": LeakageConfig(reference_split="training")},
        {"features": FeatureConfig(exclude_splits=("test",))},
        {"class_balance": ClassBalanceConfig(train_split="training")},
    ],
)
def test_wrong_use_is_no_finding(table, cheap, limits):
    with pytest.raises(InputError):
        guards.find(table, **limits)


def as_facts(findings):
    """Returns what findings say, but for pictures and rounding in the last digits."""
    facts = []
    for finding in findings:
        number = None if finding.measured is None else round(finding.measured, 9)
        facts.append(
            (
                finding.cause,
                finding.severity,
                str(finding.subject),
                number,
                finding.message,
            )
        )
    return sorted(facts, key=json.dumps)


@pytest.mark.slow
@pytest.mark.parametrize("make", [faulty_table, faulty_pictures])
def test_findings_are_those_of_the_tfx_components(make, tmp_path, write_examples):
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components import artifact_io, artifacts
    from components.class_balance.executor import Executor as ClassBalance
    from components.class_balance.statistics import label_statistics_options
    from components.feature_validator.executor import Executor as Features
    from components.leakage.executor import Executor as Leakage

    with of_data(*make()) as data:
        ours = guards.find(data)
        splits = {
            split.name: split.serialized(np.arange(len(split.class_ids)))
            for split in (data.train, data.eval)
        }
        image, label_key, count = data.image_key, data.label_key, len(data.labels)
    examples = write_examples(tmp_path / "examples", splits)

    def made(kind, name):
        artifact = kind()
        artifact.uri = str(tmp_path / name)
        return artifact

    def context(name):
        return base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(tmp_path / name),
            unique_id=name,
        )

    stats = made(standard_artifacts.ExampleStatistics, "statistics")
    schema = made(standard_artifacts.Schema, "schema")
    from tfx.components.schema_gen.executor import Executor as SchemaGen
    from tfx.components.statistics_gen.executor import Executor as StatisticsGen

    options = label_statistics_options(label_key, num_classes=count)
    StatisticsGen(context("s")).Do(
        {"examples": [examples]},
        {"statistics": [stats]},
        {"stats_options_json": options.to_json(), "exclude_splits": "[]"},
    )
    SchemaGen().Do(
        {"statistics": [stats]},
        {"schema": [schema]},
        {"infer_feature_shape": 0, "exclude_splits": "[]"},
    )
    theirs = []
    for name, executor, inputs, properties in (
        (
            "classes",
            ClassBalance(),
            {"statistics": [stats]},
            {"label_key": label_key, "config": ClassBalanceConfig().to_json()},
        ),
        (
            "features",
            Features(),
            {"statistics": [stats], "schema": [schema]},
            {
                "config": FeatureConfig(
                    label_key=label_key,
                    image=image,
                    features=(image,) if image else None,
                ).to_json()
            },
        ),
        (
            "leakage",
            Leakage(context("l")),
            {"all_examples": [examples]},
            {"label_key": label_key, "config": LeakageConfig(image=image).to_json()},
        ),
    ):
        findings = made(artifacts.GuardFindings, f"{name}-findings")
        anomalies = made(standard_artifacts.ExampleAnomalies, f"{name}-anomalies")
        outputs = {"findings": [findings], "anomalies": [anomalies]}
        if name == "classes":
            outputs["class_weights"] = [made(artifacts.ClassWeights, "weights")]
        executor.Do(inputs, outputs, properties)
        theirs += artifact_io.read_findings(findings).findings

    assert as_facts(ours) == as_facts(theirs)
    assert any(finding.blocks for finding in ours)
