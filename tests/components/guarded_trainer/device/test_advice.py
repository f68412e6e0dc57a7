# SPDX-License-Identifier: Apache-2.0
import keras
import pytest

from components.causes import Severity
from components.guarded_trainer.device.advice import half_precision, small_batches


def model(**batch_norm):
    layer = keras.layers.BatchNormalization(name="norm", **batch_norm)
    return keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("replicas", "batch_size", "told"),
    [(2, 32, False), (2, 31, True), (1, 1, False), (8, 32, True)],
)
def test_few_examples_per_replica_are_told(replicas, batch_size, told):
    finding = small_batches(model(), replicas, batch_size, 16)
    assert (finding is not None) == told
    if finding:
        assert finding.severity is Severity.INFO
        assert finding.measured == batch_size / replicas
        assert finding.subject.layer.endswith("norm")


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: model(synchronized=True), id="synchronized"),
        pytest.param(lambda: model(trainable=False), id="frozen"),
        pytest.param(
            lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
            id="none",
        ),
    ],
)
def test_models_without_such_layers_are_not_remarked_on(made):
    assert small_batches(made(), 4, 4, 16) is None


@pytest.mark.parametrize(
    ("policy", "told"),
    [("float32", None), ("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")],
)
def test_answers_in_half_precision_are_told(policy, told):
    keras.config.set_dtype_policy(policy)
    note = half_precision(model())
    assert (told in note) if told else note is None
    last = keras.layers.Dense(2, dtype="float32")
    assert half_precision(keras.Sequential([keras.Input((3,)), last])) is None


def test_model_without_symbolic_outputs_does_not_tell():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    assert half_precision(Subclassed(dtype="mixed_bfloat16")) is None
