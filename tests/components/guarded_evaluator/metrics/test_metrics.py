# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from components.guarded_evaluator import metrics


@pytest.mark.parametrize(
    "module",
    [
        "components.guarded_evaluator.metrics.outcomes",
        "components.guarded_evaluator.metrics.paired",
        "components.guarded_evaluator.results",
    ],
)
def test_sums_and_records_load_no_framework(module):
    heavy = ("tensorflow", "tensorflow_model_analysis", "apache_beam", "tfx")
    code = f"import sys, {module}; assert not set({heavy}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_metric_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'Collapse'"):
        metrics.Collapse  # noqa: B018


def test_every_metric_is_named_in_the_documentation():
    from pathlib import Path

    page = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text()
    names = {*metrics.OF_ONE_MODEL, *metrics.OF_TWO_MODELS, "ClassRecall"}
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_name_is_a_metric_that_tfma_knows_once_registered():
    from tensorflow_model_analysis.metrics import metric_types

    metrics.register()
    names = {*metrics.OF_ONE_MODEL, *metrics.OF_TWO_MODELS, "ClassRecall"}
    assert names <= set(metric_types.registered_metrics())
    assert names <= set(dir(metrics))
    for name in names:
        assert issubclass(getattr(metrics, name), metric_types.Metric)


def test_no_metric_takes_the_name_of_another():
    import tensorflow_model_analysis as tfma
    import tf_keras

    names = {*metrics.OF_ONE_MODEL, *metrics.OF_TWO_MODELS, "ClassRecall"}
    for others in (tfma.metrics, tf_keras.metrics, tf_keras.losses):
        assert not names & set(dir(others))
