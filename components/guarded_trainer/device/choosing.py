# SPDX-License-Identifier: Apache-2.0
"""Chooses precision, distribution and XLA from what was seen."""

import dataclasses
from typing import Any

from components.errors import InputError
from components.guarded_trainer.device.roles import Role, read_role
from components.guarded_trainer.device.seen import Seen
from components.guarded_trainer.device.settings import DeviceConfig

ONE_DEVICE, MIRRORED, MULTI_WORKER = "one device", "mirrored", "multi-worker"
"""As the training record names them."""

_BFLOAT16_FROM = (8, 0)
_FLOAT16_FROM = (7, 0)


@dataclasses.dataclass(frozen=True)
class Choice:
    """How to train.

    Attributes:
      strategy: `ONE_DEVICE`, `MIRRORED` or `MULTI_WORKER`.
      num_replicas: Replicas that share a batch, over all workers.
      precision: Keras' dtype policy; None leaves it as it is.
      jit_compile: What Keras' `compile` is told; `auto` is Keras' own choice.
      role: The part of this process.
      notes: Why, one sentence each.
    """

    strategy: str
    num_replicas: int
    precision: str | None
    jit_compile: bool | str
    role: Role
    notes: tuple[str, ...]


def choose(config: DeviceConfig, seen: Seen, batch_size: int) -> Choice:
    """Chooses how to train.

    Args:
      config: What was asked for.
      seen: What there is.
      batch_size: Examples per step, over all replicas.

    Raises:
      InputError: If what was asked for is not there, or a batch has fewer examples
        than there are replicas.
    """
    if config.require_gpu and not seen.gpus:
        raise InputError(_no_gpu(seen))
    role = read_role(seen.tf_config)
    strategy, num_replicas, why = _distribution(config, seen, role, batch_size)
    precision, why_precise = _precision(config, seen)
    jit_compile, why_compiled = _xla(config, strategy)
    notes = (why, why_precise, why_compiled)
    return Choice(
        strategy, num_replicas, precision, jit_compile, role, tuple(filter(None, notes))
    )


def _distribution(
    config: DeviceConfig, seen: Seen, role: Role, batch_size: int
) -> tuple[str, int, str]:
    local = len(seen.gpus) or seen.num_cpus
    wanted = config.distribution
    if wanted == "multi_worker" and role.num_workers < 2:
        raise InputError(
            "distribution: expected TF_CONFIG to name two workers or more for "
            "`multi_worker`, but it "
            + ("names one" if seen.tf_config else "is not set")
            + "; set it in each worker, or use `auto`"
        )
    if wanted == "multi_worker" or (wanted == "auto" and role.num_workers > 1):
        local = max(len(seen.gpus), 1)
        num_replicas = role.num_workers * local
        _check_batch(batch_size, num_replicas)
        why = f"TF_CONFIG names {role.num_workers} workers."
        return MULTI_WORKER, num_replicas, why
    if wanted == "mirrored":
        _check_batch(batch_size, local)
        why = "" if local > 1 else "There is one device only, so nothing is mirrored."
        return MIRRORED if local > 1 else ONE_DEVICE, local, why
    if wanted == "auto" and len(seen.gpus) > 1:
        if batch_size < len(seen.gpus):
            why = f"{len(seen.gpus)} GPUs cannot share a batch of {batch_size}."
            return ONE_DEVICE, 1, why
        return MIRRORED, len(seen.gpus), f"There are {len(seen.gpus)} GPUs."
    if role.num_workers > 1:
        return ONE_DEVICE, 1, "Each worker of TF_CONFIG trains alone, as configured."
    return ONE_DEVICE, 1, ""


def _check_batch(batch_size: int, num_replicas: int) -> None:
    if batch_size < num_replicas:
        raise InputError(
            f"batch_size: expected at least one example for each of {num_replicas} "
            f"replicas, but it is {batch_size}; raise it, or use fewer devices"
        )


def _precision(config: DeviceConfig, seen: Seen) -> tuple[str | None, str]:
    if config.precision != "auto":
        slow = config.precision != "float32" and not seen.gpus
        why = f"{config.precision} was asked for, and is slow on a CPU." if slow else ""
        return config.precision, why
    # The least of them: a mirrored model is the same on all.
    capability = min(
        (gpu.compute_capability or (0, 0) for gpu in seen.gpus), default=(0, 0)
    )
    version = ".".join(map(str, capability))
    if capability >= _BFLOAT16_FROM:
        return "mixed_bfloat16", f"Compute capability {version} has bfloat16 units."
    if capability >= _FLOAT16_FROM:
        why = f"Compute capability {version} has float16 units; the loss is scaled."
        return "mixed_float16", why
    return None, ""


def _xla(config: DeviceConfig, strategy: str) -> tuple[bool | str, str]:
    if config.xla == "on" and strategy != ONE_DEVICE:
        return False, "XLA was asked for, but Keras has none with several replicas."
    options: dict[str, Any] = {"auto": "auto", "on": True, "off": False}
    return options[config.xla], ""


def _no_gpu(seen: Seen) -> str:
    if not seen.built_with_cuda:
        reason = "this TensorFlow is built for CPUs only"
        way_out = "install the extra `gpu`"
    elif seen.visible_devices is not None and seen.visible_devices.strip() in (
        "",
        "-1",
    ):
        reason = f"CUDA_VISIBLE_DEVICES={seen.visible_devices!r} hides all of them"
        way_out = "unset it"
    elif not seen.has_driver:
        reason = "NVIDIA's driver is not loaded"
        way_out = "run on a machine or in a container that has a GPU (`nvidia-smi`)"
    else:
        reason = "the driver is there, so most likely CUDA's libraries are not found"
        way_out = (
            "install the extra `gpu`, and read TensorFlow's messages at its import"
        )
    return (
        "require_gpu: expected a GPU, but TensorFlow "
        f"{seen.tensorflow} sees only {', '.join(seen.names) or 'nothing'} "
        f"({reason}); {way_out}, or leave `require_gpu` out"
    )
