# SPDX-License-Identifier: Apache-2.0
import keras
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.device.settings import DeviceConfig
from components.guarded_trainer.device.setup import Device, look, set_up

ON_CPU = not tf.config.list_physical_devices("GPU")
needs_no_gpu = pytest.mark.skipif(not ON_CPU, reason="there is a GPU")


@pytest.fixture
def model():
    def make():
        return keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(2),
            ]
        )

    return make


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


@needs_no_gpu
def test_one_cpu_is_used_as_it_is(model):
    device = set_up(DeviceConfig(), batch_size=32)
    with device.scope():
        made = model()
    made.compile(loss="mse", **device.compile_options())
    assert device.record_of(made).model_dump() == {
        "devices": ("CPU",),
        "strategy": "one device",
        "num_replicas": 1,
        "precision": "float32",
        "xla": False,
        "notes": (),
    }
    assert device.advice(made) == ()


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_precision_holds_within_the_scope_alone(model, precision):
    device = set_up(DeviceConfig(precision=precision), batch_size=32)
    with device.scope():
        made = model()
    assert made.layers[-1].dtype_policy.name == precision
    assert keras.config.dtype_policy().name == "float32"
    made.compile("sgd", "mse", **device.compile_options())
    scaled = isinstance(made.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    record = device.record_of(made)
    assert record.precision == precision
    halved = any("float32" in note for note in record.notes)
    assert halved == (precision != "float32")


def test_policy_that_was_set_stands_unless_told_otherwise(model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    if ON_CPU:
        with set_up(DeviceConfig(), batch_size=32).scope():
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
    with set_up(DeviceConfig(precision="float32"), batch_size=32).scope():
        assert keras.config.dtype_policy().name == "float32"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_scope_ends_where_the_users_code_fails():
    device = set_up(DeviceConfig(precision="mixed_bfloat16"), batch_size=32)
    with pytest.raises(KeyError), device.scope():
        raise KeyError
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(("xla", "compiled"), [("on", True), ("off", False)])
def test_xla_reaches_the_model(model, xla, compiled):
    device = set_up(DeviceConfig(xla=xla), batch_size=32)
    made = model()
    made.compile("sgd", "mse", **device.compile_options())
    assert device.record_of(made).xla is compiled


@needs_no_gpu
def test_missing_gpu_is_refused_at_once():
    with pytest.raises(InputError, match=f"TensorFlow {tf.__version__} sees only CPU"):
        set_up(DeviceConfig(require_gpu=True), batch_size=32)


def test_looking_tells_what_there_is(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    seen = look()
    assert (seen.tf_config, seen.visible_devices) == ("{}", "0")
    assert seen.tensorflow == tf.__version__
    assert len(seen.gpus) == len(tf.config.list_physical_devices("GPU"))


def test_model_that_exists_tells_its_device(model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    made = model()
    made.compile("sgd", "mse", jit_compile=True)
    record = Device.of(made, batch_size=8).record_of(made)
    assert (record.strategy, record.num_replicas) == ("one device", 1)
    assert (record.precision, record.xla) == ("mixed_bfloat16", True)
