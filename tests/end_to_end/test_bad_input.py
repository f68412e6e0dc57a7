# SPDX-License-Identifier: Apache-2.0
"""Bad input gets one clear line and exit code 2; nothing is pushed."""

import pytest
from sklearn.datasets import load_wine

from components import registry

pytestmark = pytest.mark.slow

MODEL = """\
import keras

def build_model(context):
    return keras.Sequential(
        [keras.Input(context.input_shape), keras.layers.Dense(context.num_classes)]
    )

def raises(context):
    return keras.layers.Activation("no-such")

def nothing(context):
    pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    wine = load_wine(as_frame=True).frame
    (folder / "wine").mkdir()
    wine.to_csv(folder / "wine" / "wine.csv", index=False)
    for split, rows in (("train", wine), ("eval", wine.head(0))):
        (folder / "one_sided" / split).mkdir(parents=True)
        rows.to_csv(folder / "one_sided" / split / "wine.csv", index=False)
    (folder / "garbled").mkdir()
    (folder / "garbled" / "a.tfrecord").write_bytes(b"this is no TFRecord" * 9)
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        pytest.param(
            {"label": "targt"}, ["'targt'", "did you mean 'target'"], id="label-absent"
        ),
        pytest.param(
            {"label": "alcohol"},
            ["'alcohol'", "regression is not supported"],
            id="label-is-no-class",
        ),
        pytest.param(
            {"path": "one_sided"}, ["eval", "there are none"], id="empty-split"
        ),
        pytest.param({"path": "garbled"}, ["garbled"], id="unreadable-data"),
        pytest.param(
            {"build": "model.py:bild"}, ["model.py", "'bild'"], id="no-such-function"
        ),
        pytest.param(
            {"build": "model.py:raises"}, ["model.py:9", "ValueError"], id="raises"
        ),
        pytest.param(
            {"build": "model.py:nothing"},
            ["model.py:11", "to return a keras.Model", "None"],
            id="returns-no-model",
        ),
        pytest.param({"build": "modl.py"}, ["modl.py", "no such file"], id="no-file"),
        pytest.param(
            {"build": "no.such.module:f"}, ["'no.such.module'"], id="no-such-module"
        ),
    ],
)
def test_bad_input(folder, run_guard, changes, parts):
    entries = {"path": "wine", "label": "target", "build": "model.py", **changes}
    config = folder / "guard.yaml"
    config.write_text(
        "name: wine\n"
        f"data: {{path: {entries['path']}, label: {entries['label']}}}\n"
        f"model: {{build: '{entries['build']}'}}\n"
    )
    # One output folder for all: what did not change is served from the cache.
    output = folder / f"out_{entries['path']}"
    run = run_guard("--config", str(config), "--format", "json", output=output)
    assert run.code == 2, run.err
    assert run.out == ""
    assert "Traceback" not in run.err
    last = run.err.splitlines()[-1]
    assert last.startswith("tfx-guard: ")
    for part in parts:
        assert part in last
    assert registry.versions(output / "serving") == ()
