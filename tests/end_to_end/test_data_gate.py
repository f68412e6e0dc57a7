# SPDX-License-Identifier: Apache-2.0
"""Data that block end the run before training, unless the user wants otherwise."""

import pytest
from sklearn.datasets import load_breast_cancer

from components import registry

pytestmark = pytest.mark.slow

CONFIG = """\
name: leak
data: {path: data, label: target}
model: {build: "model.py"}
training: {epochs: 2}
"""
MODEL = """\
import keras

def build_model(context):
    normalize = keras.layers.Normalization()
    normalize.adapt(context.train_inputs)
    layers = [keras.Input(context.input_shape), normalize]
    layers.append(keras.layers.Dense(context.num_classes, activation="softmax"))
    return keras.Sequential(layers)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leak")
    frame = load_breast_cancer(as_frame=True).frame
    shuffled = frame.sample(frac=1, random_state=0)
    # Ten of the evaluation examples are training examples too.
    splits = {"train": shuffled[:460], "eval": shuffled[450:]}
    for split, rows in splits.items():
        (folder / "data" / split).mkdir(parents=True)
        rows.to_csv(folder / "data" / split / "rows.csv", index=False)
    (folder / "model.py").write_text(MODEL)
    (folder / "stop.yaml").write_text(CONFIG)
    (folder / "go_on.yaml").write_text(CONFIG + "train_on_blocked_data: true\n")
    return folder


@pytest.fixture(scope="module")
def stopped(folder, run_guard):
    arguments = ("--config", str(folder / "stop.yaml"), "--format", "json")
    return run_guard(*arguments, output=folder / "runs")


def test_a_leak_stops_the_run_before_training(stopped):
    assert stopped.code == 3, stopped.err
    assert "skipped GuardedTrainer" in stopped.err
    assert not (stopped.output / "artifacts" / "GuardedTrainer").exists()


def test_the_leak_is_named_with_its_size(stopped):
    findings = stopped.verdict["findings"]
    [finding] = [each for each in findings if each["severity"] == "block"]
    assert finding["cause"] == "duplicate_leakage"
    assert finding["subject"]["split"] == "eval"
    assert finding["measured"] == pytest.approx(10 / 119)


def test_a_report_is_written_all_the_same(stopped):
    page = (stopped.output / "report.html").read_text(encoding="utf-8")
    assert "Blocked" in page
    assert "duplicate_leakage" in page
    assert stopped.verdict["report"] == str(stopped.output / "report.html")


def test_going_on_trains_but_pushes_nothing(stopped, folder, run_guard):
    arguments = ("--config", str(folder / "go_on.yaml"), "--format", "json")
    run = run_guard(*arguments, output=folder / "runs")
    assert run.code == 3, run.err
    assert (run.output / "artifacts" / "GuardedTrainer").exists()
    blocking = [f for f in run.verdict["findings"] if f["severity"] == "block"]
    assert "duplicate_leakage" in {finding["cause"] for finding in blocking}
    assert registry.versions(run.output / "serving") == ()
