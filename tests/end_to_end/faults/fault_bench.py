# SPDX-License-Identifier: Apache-2.0
"""The gate on a bench: a real model with its artifacts, judged and pushed for real."""

import contextlib
import inspect
import os
import re
import shutil
import types
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_iris
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components import artifact_io, registry
from components.artifacts import ClassWeights, GuardFindings
from components.digest import model_digest
from components.findings import Verdict, find
from components.guarded_evaluator import executor as evaluator
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_pusher import executor as pusher
from components.guarded_trainer import export_guarded, fit_guarded
from components.labels import ClassTable
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.passport import PASSPORT_FILE, PUSH_FILE, Passport, Push

FINDINGS = ("class_balance", "feature", "leakage", "training")
EXAMPLES = "data_tfrecord-00000-of-00001.gz"
_LABELS = ("setosa", "versicolor", "virginica")


def make_artifacts(folder):
    """Trains a model on iris; lays all artifacts of a run into a folder."""
    rows = _examples()
    for split, records in rows.items():
        write_split(folder / "examples", split, records)
    _train(folder)
    serving = "Format-Serving"
    shutil.copytree(folder / "model" / serving, folder / "baseline_model" / serving)
    for name in FINDINGS:
        findings = GuardFindings()
        findings.uri = str(folder / f"{name}_findings")
        artifact_io.write_findings(findings, Verdict())
    class_weights = ClassWeights()
    class_weights.uri = str(folder / "class_weights")
    table = ClassTable(
        label_key="species",
        labels=_LABELS,
        train_counts=(33, 33, 34),
        weights=(1.0, 1.0, 1.0),
    )
    artifact_io.write_class_table(class_weights, table)


def write_split(folder, split, records):
    """Writes one split of an Examples artifact."""
    (folder / f"Split-{split}").mkdir(parents=True, exist_ok=True)
    path = folder / f"Split-{split}" / EXAMPLES
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)


def make_example(label, sizes, site=b"north"):
    """Makes a serialized tf.Example; None leaves a feature out."""
    values = tf.train.BytesList(value=[site])
    features = {"site": tf.train.Feature(bytes_list=values)}
    if label is not None:
        values = tf.train.BytesList(value=[label])
        features["species"] = tf.train.Feature(bytes_list=values)
    if sizes is not None:
        values = tf.train.FloatList(value=sizes)
        features["sizes"] = tf.train.Feature(float_list=values)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def save_signature(folder, answer, name="serving_default"):
    """Saves a function of sizes, shape (batch, 4), as a signature of tf.Examples."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def ask(examples):
        return {"output": answer(_parse(examples))}

    tf.saved_model.save(tf.Module(), str(folder), signatures={name: ask})


def _shuffled_iris():
    iris = load_iris()
    order = np.random.default_rng(0).permutation(150)
    return iris.data[order].astype(np.float32), iris.target[order]


def _examples():
    # The west has examples to train on only, and the south hardly any.
    sites = [b"west"] * 10 + [b"north"] * 135 + [b"south"] * 5
    records = [
        make_example(_LABELS[label].encode(), sizes.tolist(), site)
        for sizes, label, site in zip(*_shuffled_iris(), sites, strict=True)
    ]
    return {"train": records[:100], "eval": records[100:]}


def _parse(serialized):
    features = {"sizes": tf.io.FixedLenFeature((4,), tf.float32)}
    return tf.io.parse_example(serialized, features)["sizes"]


def _train(folder):
    sizes, labels = (array[:100] for array in _shuffled_iris())
    scale = keras.layers.Normalization()
    scale.adapt(sizes)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            scale,
            keras.layers.Dense(16, "relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    fit_guarded.fit_guarded(
        model,
        (sizes, labels),
        class_names=_LABELS,
        epochs=30,
        batch_size=20,
        log_dir=str(folder / "model_run"),
    )
    # As TFX's Trainer hands it to a `run_fn`.
    fn_args = types.SimpleNamespace(
        model_run_dir=str(folder / "model_run"),
        train_files=[str(folder / "examples" / "Split-train" / "*")],
        serving_model_dir=str(folder / "model" / "Format-Serving"),
        eval_model_dir=str(folder / "model" / "Format-TFMA"),
    )
    export_guarded.export_guarded(
        model, fn_args, _parse, label_key="species", labels=_LABELS
    )


class Bench(contextlib.ExitStack):
    """Artifacts that a fault may spoil, the steps of the gate, and a server's eyes."""

    def __init__(self, artifacts, root):
        super().__init__()
        self.root = root
        self.destination = root / "serving"
        self.keep_versions = None
        self.foreign = set()
        self.properties = {
            "label_key": "species",
            "config": EvaluationConfig().to_json(),
            "eval_config": None,
            "example_splits": json_utils.dumps(["eval"]),
        }
        shutil.copytree(artifacts, root, dirs_exist_ok=True)
        types_of_inputs = {
            "examples": standard_artifacts.Examples,
            "model": standard_artifacts.Model,
            "baseline_model": standard_artifacts.Model,
            "model_run": standard_artifacts.ModelRun,
            "class_weights": ClassWeights,
            **{f"{name}_findings": GuardFindings for name in FINDINGS},
        }
        self.inputs = {
            name: [self._artifact(kind, name)] for name, kind in types_of_inputs.items()
        }
        [examples] = self.inputs["examples"]
        examples.splits = ["train", "eval"]
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")
        self.evaluation = self._artifact(
            standard_artifacts.ModelEvaluation, "evaluation"
        )
        self.blessing = self._artifact(standard_artifacts.ModelBlessing, "blessing")
        self.findings = self._artifact(GuardFindings, "findings")
        self.pushed_model = self._artifact(
            standard_artifacts.PushedModel, "pushed_model"
        )

    def _artifact(self, kind, name):
        made = kind()
        made.uri = str(self.root / name)
        return made

    def remove(self, path):
        """Removes a file or a folder."""
        target = self.root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    def patch(self, target, replacement):
        """Replaces something by its name, until the bench is closed."""
        self.enter_context(mock.patch(target, replacement))

    def find_leak(self, *, then_empty=False):
        """Lets the leakage validator find something, and somebody take it out."""
        [findings] = self.inputs["leakage_findings"]
        leak = find("duplicate_leakage", "They are in both splits.")
        artifact_io.write_findings(findings, Verdict.of([leak]))
        if then_empty:
            text = Verdict().model_dump_json()
            artifact_io.write_text(findings.uri, artifact_io.FINDINGS_FILE, text)

    def remember(self, measured):
        """Takes numbers that were measured before instead of asking the model again.

        All that follows runs as it does otherwise: TFMA's files are read back, and
        what they hold is judged.
        """
        measure = evaluator.measure.evaluate

        def copy(*arguments, **named):
            bound = inspect.signature(measure).bind(*arguments, **named)
            folder = bound.arguments["output_path"]
            shutil.copytree(measured, folder, dirs_exist_ok=True)

        self.patch("components.guarded_evaluator.measure.evaluate", copy)

    def when_measured(self, spoil):
        """Lets a function of TFMA's folder spoil it before it is read."""
        measure = evaluator.measure.check_batches

        def check_batches(*arguments):
            measure(*arguments)
            spoil(self.root / "evaluation")

        self.patch("components.guarded_evaluator.measure.check_batches", check_batches)

    def judge(self):
        """Runs the GuardedEvaluator; returns the blessing that it wrote."""
        context = evaluator.Executor.Context(
            # The second one keeps TFX from packing itself up for workers elsewhere.
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(self.root / "tmp"),
            unique_id="1",
        )
        outputs = {
            "evaluation": [self.evaluation],
            "blessing": [self.blessing],
            "findings": [self.findings],
        }
        evaluator.Executor(context).Do(self.inputs, outputs, self.properties)
        text = artifact_io.read_text(self.blessing.uri, BLESSING_FILE)
        return Blessing.from_json(text)

    def take_blessing(self, judged):
        """Takes over what another bench was judged."""
        shutil.copytree(judged.blessing.uri, self.blessing.uri)
        self.blessing.copy_from(judged.blessing)
        self.blessing.uri = str(self.root / "blessing")

    def push(self):
        """Runs the GuardedPusher; returns the record that it wrote."""
        blessings = (
            self.blessing if isinstance(self.blessing, list) else [self.blessing]
        )
        inputs = {
            "model": self.inputs["model"],
            "model_blessing": [b for b in blessings if b is not None],
            "class_weights": self.inputs["class_weights"],
            "examples": self.inputs["examples"],
        }
        pusher.Executor().Do(
            inputs,
            {"pushed_model": [self.pushed_model]},
            {"destination": str(self.destination), "keep_versions": self.keep_versions},
        )
        return Push.from_json(artifact_io.read_text(self.pushed_model.uri, PUSH_FILE))

    def push_earlier_model(self):
        """Lets another model be in production already."""
        folder = self.root / "earlier"
        shutil.copytree(self.root / "baseline_model" / "Format-Serving", folder)
        (folder / "assets" / "vocabulary.txt").write_text("rose")
        passport = Passport(
            model_sha256=model_digest(folder), verdict=Verdict(), blessed_at="earlier"
        )
        registry.publish(folder, self.destination, passport)

    def versions(self):
        """Returns the versions that a server sees, by their names, oldest first."""
        with os.scandir(self.destination) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
        numbers = [int(name) for name in names if re.fullmatch("[0-9]{1,19}", name)]
        return sorted(number for number in numbers if number < 2**63)

    def ignore(self, version):
        """Takes a version for one that a person put there and answers for."""
        self.foreign.add(version)

    def served(self):
        """Returns the digest of each version that a server sees, oldest first.

        Each must be whole, blessed, and carry a passport that knows it.
        """
        digests = []
        for version in self.versions() if self.destination.is_dir() else ():
            if version in self.foreign:
                continue
            folder = self.destination / str(version)
            passport = Passport.from_json((folder / PASSPORT_FILE).read_text())
            digest = model_digest(folder, ignore={PASSPORT_FILE})
            assert passport.model_sha256 == digest
            assert passport.verdict.passed
            digests.append(digest)
        return digests
