# SPDX-License-Identifier: Apache-2.0
"""Which of several workers this process is.

TF_CONFIG names the processes of a training and this one among them, as TensorFlow,
Kubeflow and Vertex AI set it. All workers compute the same; only the chief writes.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from components.errors import InputError

VARIABLE = "TF_CONFIG"
_WORKING = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Role:
    """The part of this process in a training.

    Attributes:
      kind: `chief` or `worker`.
      index: Number of this process among those of its kind, from 0.
      num_workers: Processes that train, the chief among them.
      is_chief: Whether this is the one that writes: the chief, or where there is
        none, the first worker.
    """

    kind: str = "worker"
    index: int = 0
    num_workers: int = 1
    is_chief: bool = True


def read_role(tf_config: str | None) -> Role:
    """Reads TF_CONFIG.

    Args:
      tf_config: Its text; None or empty for a process that trains alone.

    Raises:
      InputError: If it is not what TensorFlow's guide describes, or this process is
        no worker.
    """
    if not tf_config or not tf_config.strip():
        return Role()
    try:
        parsed = json.loads(tf_config)
    except ValueError as error:
        raise _wrong(f"it is no JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise _wrong(f"it is a {type(parsed).__name__}")
    cluster, task = parsed.get("cluster") or {}, parsed.get("task") or {}
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _wrong("`cluster` or `task` is no object")
    if not cluster:
        return Role()
    kind, index = task.get("type"), task.get("index", 0)
    if kind not in _WORKING:
        raise InputError(
            f"{VARIABLE}: expected a task of type chief or worker, but it is {kind!r}; "
            "start the training in worker processes only"
        )
    if not isinstance(index, int) or not 0 <= index < _size(cluster, kind):
        raise _wrong(f"it has {_size(cluster, kind)} of type {kind} and no {index!r}")
    return Role(
        kind,
        index,
        num_workers=sum(_size(cluster, each) for each in _WORKING),
        is_chief=kind == "chief" or (index == 0 and not _size(cluster, "chief")),
    )


def is_chief() -> bool:
    """Returns whether this process is the one that writes artifacts.

    Raises:
      InputError: If TF_CONFIG is broken.
    """
    return read_role(os.environ.get(VARIABLE)).is_chief


def own_folder(folder: str) -> str:
    """Returns the folder that this process writes to in place of `folder`.

    The chief writes to `folder` itself. Every other worker runs the same code and
    saves the same files, since saving takes part of all; it does so to a temporary
    folder of its own, as TensorFlow's guide wants it.
    """
    if is_chief():
        return folder
    return os.path.join(
        tempfile.mkdtemp(prefix="tfx-guard-worker-"),
        os.path.basename(folder.rstrip("/")),
    )


def checkpoint_folder(folder: str) -> str:
    """Returns where this process keeps the checkpoints that are asked for in `folder`.

    Each worker needs its own, and finds it again when it is started anew.

    Raises:
      InputError: If TF_CONFIG is broken.
    """
    role = read_role(os.environ.get(VARIABLE))
    if role.is_chief:
        return folder
    return f"{folder.rstrip('/')}-{role.kind}-{role.index}"


def _size(cluster: Mapping[str, Any], kind: str) -> int:
    addresses = cluster.get(kind) or []
    return len(addresses) if isinstance(addresses, list) else 0


def _wrong(came: str) -> InputError:
    return InputError(
        f"{VARIABLE}: expected JSON such as "
        '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
        f'"index": 0}}}}, but {came}; correct it, or unset it to train alone'
    )
