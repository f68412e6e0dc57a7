# SPDX-License-Identifier: Apache-2.0
"""Which device, precision and distribution a training uses."""

from typing import Literal

import pydantic

from components.settings import Settings


class DeviceConfig(Settings):
    """Which device, precision and distribution a training uses.

    Where `build_model` compiles the model itself, its choice of `jit_compile` stands;
    so does a dtype policy that it sets.
    """

    require_gpu: bool = False
    """Whether to refuse, before anything is read, to train without a GPU."""
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    """Keras' dtype policy while the model is built. `auto` takes mixed_bfloat16 on GPUs
    of compute capability 8.0 or more, mixed_float16 with loss scaling from 7.0 on
    (where the tensor cores for each came, NVIDIA's guide to mixed precision), and
    else leaves Keras' policy as it is: float32, unless it was set."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the training step. `auto` leaves it to Keras: on one GPU,
    if all layers allow it and determinism is not asked for."""
    distribution: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """Over what each batch is shared. `auto`: the workers of TF_CONFIG if there are
    several, else all GPUs of this machine if there are several, else nothing."""
    memory_growth: bool = True
    """Whether TensorFlow takes GPU memory only as it needs it; else it takes all, and
    no second process can use the GPU."""
    min_replica_batch: int = pydantic.Field(default=16, ge=1)
    """Fewest examples per replica and step with which BatchNorm that is not
    synchronised goes without a remark: with fewer than 16 its error on ImageNet rises
    (Wu and He 2018, Group Normalization, figure 1)."""
