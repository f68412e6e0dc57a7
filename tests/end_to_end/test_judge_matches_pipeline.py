# SPDX-License-Identifier: Apache-2.0
"""Judging without TFX measures the pipeline's numbers, and decides as it does."""

import numpy as np
import pytest

from components.guarded_evaluator.config import EvaluationConfig
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord

pytestmark = pytest.mark.slow

CONFIG = EvaluationConfig(slices=("site",), max_train_examples=150, min_accuracy=0.999)
SITES = (b"hall", b"lab", b"roof")


@pytest.fixture(scope="module")
def records():
    """Wine of three kinds, the sites at which it was measured, and a copy of a row."""
    import tensorflow as tf
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(y))

    def example(i):
        features = {
            "x": tf.train.Feature(float_list=tf.train.FloatList(value=x[i])),
            "site": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[SITES[i % len(SITES)]])
            ),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(y[i])])),
        }
        made = tf.train.Example(features=tf.train.Features(feature=features))
        return made.SerializeToString(deterministic=True)

    rows = [example(i) for i in order]
    return {"train": [*rows[:118], rows[0]], "eval": [*rows[118:], rows[-1]]}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, records):
    """A model whose BatchNorm lags behind, as the GuardedTrainer exports it."""
    import keras
    import tensorflow as tf

    from components.guarded_trainer import export, modes
    from components.guarded_trainer.head import read_head
    from components.records.model_card import ModelCard

    class Parser:
        @staticmethod
        def parse(serialized):
            spec = {"x": tf.io.FixedLenFeature((13,), tf.float32)}
            return tf.io.parse_example(serialized, spec)["x"]

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((13,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    serialized = tf.constant(records["train"])
    x = Parser.parse(serialized)
    y = tf.io.parse_example(serialized, {"label": tf.io.FixedLenFeature((), tf.int64)})
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x, y["label"], epochs=5, batch_size=16, verbose=0)
    head, _ = read_head(model, 3, x[:4])
    layers = modes.adaptive_layers(model, x[:4])
    card = ModelCard(label_key="label", labels=(0, 1, 2), batch_size=16)
    folder = tmp_path_factory.mktemp("model")
    _, findings = export.export_both(
        model,
        head,
        Parser,
        layers,
        card,
        np.array(records["train"], object),
        serving=str(folder / "Format-Serving"),
        judging=str(folder / "Format-TFMA"),
    )
    assert not findings
    return folder


@pytest.fixture(scope="module")
def by_pipeline(tmp_path_factory, records, model_folder):
    """What the GuardedEvaluator's executor writes."""
    import tensorflow as tf
    from tfx.types import standard_artifacts
    from tfx.utils import json_utils

    from components import artifact_io
    from components.artifacts import GuardFindings
    from components.guarded_evaluator.executor import Executor

    folder = tmp_path_factory.mktemp("pipeline")
    examples = standard_artifacts.Examples()
    examples.uri, examples.splits = str(folder / "examples"), ["train", "eval"]
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    for split, rows in records.items():
        path = (
            folder / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        )
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for row in rows:
                writer.write(row)
    model = standard_artifacts.Model()
    model.uri = str(model_folder)
    outputs = {
        "evaluation": standard_artifacts.ModelEvaluation(),
        "blessing": standard_artifacts.ModelBlessing(),
        "findings": GuardFindings(),
    }
    for name, output in outputs.items():
        output.uri = str(folder / name)
    context = Executor.Context(
        beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
    )
    Executor(context).Do(
        {"examples": [examples], "model": [model]},
        {name: [output] for name, output in outputs.items()},
        {
            "label_key": "label",
            "config": CONFIG.to_json(),
            "eval_config": None,
            "example_splits": json_utils.dumps(["eval"]),
        },
    )
    verdict = artifact_io.read_findings(outputs["findings"])
    text = artifact_io.read_text(outputs["evaluation"].uri, EVALUATION_FILE)
    return verdict, EvaluationRecord.from_json(text)


@pytest.fixture(scope="module")
def by_judging(tmp_path_factory, records, model_folder):
    """What `tfx-guard check` comes to, on the same examples."""
    import tensorflow as tf

    from components.judging.check import check_files

    folder = tmp_path_factory.mktemp("judging")
    for split, rows in records.items():
        with tf.io.TFRecordWriter(str(folder / f"{split}.tfrecord")) as writer:
            for row in rows:
                writer.write(row)
    return check_files(
        model_folder,
        folder / "train.tfrecord",
        folder / "eval.tfrecord",
        config=CONFIG,
        data_checks=False,
    )


def assert_equal(ours, theirs, where=""):
    """Compares integers and texts exactly, and fractions to 1e-9."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(*pair, f"{where}[{i}]")
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, abs=1e-9, rel=1e-9, nan_ok=True), where
    else:
        assert ours == theirs, where


def by_name(entries, *fields):
    return {"|".join(str(entry[field]) for field in fields): entry for entry in entries}


def test_each_number_is_that_of_the_pipeline(by_pipeline, by_judging):
    ours, theirs = by_judging.evaluation.model_dump(), by_pipeline[1].model_dump()
    for record in (ours, theirs):
        record["results"] = by_name(record["results"], "model", "split", "slice")
        record["pairs"] = by_name(record["pairs"], "other", "split", "slice")
    assert_equal(ours, theirs)


def test_all_kinds_of_numbers_are_there_to_compare(by_pipeline):
    _, record = by_pipeline
    assert len(record.slices) == 3
    others = {pair.other for pair in record.pairs}
    assert {"training", "batch_statistics", "one_by_one", "perturbed:noise"} <= others
    assert any(pair.mean_distance > 0 for pair in record.pairs)


def test_each_finding_is_that_of_the_pipeline(by_pipeline, by_judging):
    ours = [finding.model_dump() for finding in by_judging.findings]
    theirs = [finding.model_dump() for finding in by_pipeline[0].findings]
    assert_equal(ours, theirs)
    assert "below_threshold" in [finding["cause"] for finding in ours]
