# SPDX-License-Identifier: Apache-2.0
"""Sets up the device that a model is built and trained on."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer.device.advice import half_precision, small_batches
from components.guarded_trainer.device.choosing import (
    MIRRORED,
    MULTI_WORKER,
    ONE_DEVICE,
    Choice,
    choose,
)
from components.guarded_trainer.device.roles import VARIABLE
from components.guarded_trainer.device.seen import Gpu, Seen
from components.guarded_trainer.device.settings import DeviceConfig
from components.guarded_trainer.device.workers import is_multi_worker
from components.records.training import DeviceRecord

_DRIVER = "/proc/driver/nvidia/version"


@dataclasses.dataclass(frozen=True)
class Device:
    """What a model is built and trained on.

    Attributes:
      strategy: How batches are shared; None for one device.
      precision: Keras' dtype policy for the model; None leaves it as it is.
      jit_compile: What Keras' `compile` is told.
      record: What is known of it before there is a model; see `record_of`.
      config: What was asked for.
      batch_size: Examples per step, over all replicas.
    """

    strategy: tf.distribute.Strategy | None
    precision: str | None
    jit_compile: bool | str
    record: DeviceRecord
    config: DeviceConfig
    batch_size: int

    @classmethod
    def of(
        cls,
        model: keras.Model,
        config: DeviceConfig | None = None,
        *,
        batch_size: int,
    ) -> "Device":
        """Returns what a model that exists already is trained on.

        Its strategy and precision were chosen when it was built; nothing is changed.
        """
        seen = look()
        strategy = model.distribute_strategy
        num_replicas = strategy.num_replicas_in_sync
        name = ONE_DEVICE
        if is_multi_worker(strategy):
            name = MULTI_WORKER
        elif num_replicas > 1:
            name = MIRRORED
        record = DeviceRecord(
            devices=seen.names,
            strategy=name,
            num_replicas=num_replicas,
            precision=model.dtype_policy.name,
        )
        return cls(
            strategy if name != ONE_DEVICE else None,
            None,
            "auto",
            record,
            config or DeviceConfig(),
            batch_size,
        )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Within it, models are built for this device; afterwards all is as before."""
        policy = keras.config.dtype_policy()
        try:
            if self.precision:
                keras.config.set_dtype_policy(self.precision)
            with self.strategy.scope() if self.strategy else contextlib.nullcontext():
                yield
        finally:
            keras.config.set_dtype_policy(policy)

    def compile_options(self) -> dict[str, Any]:
        """Returns arguments for `compile` of a model that comes uncompiled."""
        return {"jit_compile": self.jit_compile}

    def advice(self, model: keras.Model) -> tuple[Finding, ...]:
        """Returns what to know about a built model on this device, as information."""
        finding = small_batches(
            model,
            self.record.num_replicas,
            self.batch_size,
            self.config.min_replica_batch,
        )
        return (finding,) if finding else ()

    def record_of(self, model: keras.Model) -> DeviceRecord:
        """Returns the record of a built and compiled model on this device."""
        advice = [*(f.message for f in self.advice(model)), half_precision(model)]
        return self.record.model_copy(
            update={
                "precision": model.dtype_policy.name,
                "xla": bool(model.compiled and model.jit_compile),
                "notes": (*self.record.notes, *filter(None, advice)),
            }
        )


def look() -> Seen:
    """Returns what TensorFlow sees; initialises nothing."""
    gpus = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        gpus.append(
            Gpu(details.get("device_name", ""), details.get("compute_capability"))
        )
    cpus = tf.config.list_physical_devices("CPU")
    return Seen(
        gpus=tuple(gpus),
        num_cpus=sum(
            len(tf.config.get_logical_device_configuration(cpu) or [cpu])
            for cpu in cpus
        ),
        tensorflow=tf.__version__,
        built_with_cuda=tf.test.is_built_with_cuda(),
        has_driver=os.path.exists(_DRIVER),
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        tf_config=os.environ.get(VARIABLE),
    )


def set_up(config: DeviceConfig, *, batch_size: int) -> Device:
    """Sets up the device; call it before anything else uses TensorFlow.

    Args:
      config: What is asked for.
      batch_size: Examples per step, over all replicas.

    Raises:
      InputError: If what is asked for is not there; says what TensorFlow sees.
    """
    seen = look()
    choice = choose(config, seen, batch_size)
    notes = choice.notes
    if config.memory_growth and seen.gpus:
        notes += _grow_memory()
    strategy = _strategy(choice)
    num_replicas = strategy.num_replicas_in_sync if strategy else 1
    record = DeviceRecord(
        devices=seen.names,
        strategy=choice.strategy,
        num_replicas=num_replicas,
        precision=choice.precision or keras.config.dtype_policy().name,
        notes=notes,
    )
    return Device(
        strategy, choice.precision, choice.jit_compile, record, config, batch_size
    )


def _grow_memory() -> tuple[str, ...]:
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    # Initialised, or split into logical devices, by whoever ran before us.
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        return (f"Memory growth could not be switched on: {reason}",)
    return ()


def _strategy(choice: Choice) -> tf.distribute.Strategy | None:
    if choice.strategy == MIRRORED:
        # Named, since it takes no CPUs by itself.
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        devices = tf.config.list_logical_devices(kind)
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if choice.strategy == MULTI_WORKER:
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise InputError(
                "distribution: expected a process in which nothing has used TensorFlow "
                f"before, but the workers cannot be connected any more ({error}); run "
                "the training in a process of its own in each worker"
            ) from error
    return None
