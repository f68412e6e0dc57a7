# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow and the system say about devices, as plain values."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU that TensorFlow sees.

    Attributes:
      name: Such as `NVIDIA A100-SXM4-40GB`.
      compute_capability: Such as (8, 0); None where TensorFlow does not tell.
    """

    name: str
    compute_capability: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Seen:
    """What there is to train on.

    Attributes:
      gpus: The GPUs.
      num_cpus: Logical CPU devices: one, unless the process has split it.
      tensorflow: Version of TensorFlow.
      built_with_cuda: Whether this TensorFlow can use NVIDIA's GPUs at all.
      has_driver: Whether the system has NVIDIA's driver loaded.
      visible_devices: CUDA_VISIBLE_DEVICES, or None where it is not set.
      tf_config: TF_CONFIG as it stands, or None where it is not set.
    """

    gpus: tuple[Gpu, ...] = ()
    num_cpus: int = 1
    tensorflow: str = ""
    built_with_cuda: bool = True
    has_driver: bool = False
    visible_devices: str | None = None
    tf_config: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The devices, such as `GPU: NVIDIA ...` or `CPU`."""
        gpus = tuple(f"GPU: {gpu.name}" if gpu.name else "GPU" for gpu in self.gpus)
        return ("CPU",) * self.num_cpus + gpus
