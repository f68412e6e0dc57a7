# SPDX-License-Identifier: Apache-2.0
"""The example of docs/metrics.md, run as it stands there."""

import re
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.guarded_evaluator.results import read_array

PAGE = Path(__file__).parents[4] / "docs" / "metrics.md"


@pytest.fixture
def work(tmp_path, monkeypatch, example, blobs, save_signatures):
    """A folder with the examples and the two models that the page speaks of."""
    (tmp_path / "examples").mkdir()
    points = blobs["eval"]
    with tf.io.TFRecordWriter(str(tmp_path / "examples" / "data")) as writer:
        for i, (point, label) in enumerate(
            zip(points.points, points.labels, strict=True)
        ):
            island = b"Biscoe" if i % 5 else b"Dream"
            writer.write(example(x=point.tolist(), species=int(label), island=island))

    def always_the_first(points):
        return tf.nn.softmax(points * 0 + tf.constant([1.0, 0.0, 0.0]))

    save_signatures(tmp_path / "model" / "1", {"serving_default": always_the_first})
    answer = {"serving_default": lambda points: tf.nn.softmax(2 * points)}
    save_signatures(tmp_path / "model" / "2", answer)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_example_of_the_page_runs(work, blobs):
    code, viewing = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})

    values = {
        (item.key.model_name, item.key.name): read_array(item.value)
        for of_slice in tfma.load_metrics("evaluation")
        if not of_slice.slice_key.single_slice_keys
        for item in of_slice.metric_keys_and_values
        if not item.key.is_diff
    }
    right = (blobs["eval"].points.argmax(axis=1) == blobs["eval"].labels).mean()
    gain = values["candidate", "accuracy_gain"]
    assert gain == pytest.approx(right - 1 / 3)
    assert values["candidate", "class_recalls"].shape == (3, 3)
    assert values["baseline", "dead_classes"] == 2
    validation = tfma.load_validation_result("evaluation")
    assert validation.validation_ok  # The threshold is the candidate's, which has none.
    assert "render_slicing_metrics" in viewing
