# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: files from which a training that was killed is taken up.

A checkpoint is one file: a header in JSON, the variables as raw bytes, and a checksum.
It is written under another name and then renamed, so that under its own name it is
either whole or not there, and what a machine that loses power leaves behind fails the
checksum. The metrics of the epochs stand in a journal beside the checkpoints, which
grows by a line per epoch.
"""

import dataclasses
import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer.state import LoopState
from components.records.training import Epoch

FORMAT = "tfx-guard checkpoint 1"
_LOG = logging.getLogger("components.guarded_trainer")
_SUFFIX = ".checkpoint"
_JOURNAL = "epochs.jsonl"
_CHUNK = 1 << 24


@dataclasses.dataclass(frozen=True)
class Saved:
    """A checkpoint that was found whole.

    Attributes:
      number: Epochs trained when it was written.
      state: Where the training stood.
      groups: Number of arrays in each group, by name, in the order of the file.
    """

    number: int
    state: LoopState
    groups: dict[str, int]


class Checkpoints:
    """The checkpoints of one training.

    Files, not memory: a training that is watched takes no more memory than one that
    is not.
    """

    def __init__(self, folder: str | None, key: str) -> None:
        """Constructs the store; nothing is read or written yet.

        Args:
          folder: Folder of this training alone, local or remote; None for a temporary
            one, from which nothing can be taken up.
          key: Digest of all that the training is made of. Checkpoints with another
            key are those of another training, and are removed.
        """
        self._temporary = folder is None
        self._folder = folder or tempfile.mkdtemp(prefix="checkpoints-")
        self._key = key
        tf.io.gfile.makedirs(self._folder)

    def save(
        self, number: int, state: LoopState, groups: Mapping[str, Sequence[Any]]
    ) -> None:
        """Writes a checkpoint; one of the same number is replaced in one move.

        Args:
          number: Epochs trained so far.
          state: Where the training stands.
          groups: Variables or arrays by the name of their group.
        """
        path = self._path(number)
        unfinished = f"{path}.unfinished"
        header = {
            "format": FORMAT,
            "key": self._key,
            "state": state.model_dump(mode="json"),
            "groups": {name: len(group) for name, group in groups.items()},
            "arrays": [
                {"dtype": _dtype_name(array), "shape": tuple(array.shape)}
                for group in groups.values()
                for array in group
            ],
        }
        line = json.dumps(header).encode() + b"\n"
        checksum = zlib.crc32(line)
        with tf.io.gfile.GFile(unfinished, "wb") as file:
            file.write(line)
            for group in groups.values():
                for array in group:
                    # One at a time, so that no copy of the whole model is made.
                    raw = keras.ops.convert_to_numpy(array).tobytes()
                    checksum = zlib.crc32(raw, checksum)
                    file.write(raw)
            file.write(checksum.to_bytes(4, "big"))
        tf.io.gfile.rename(unfinished, path, overwrite=True)

    def latest(self) -> Saved | None:
        """Returns the newest whole checkpoint of this training, or None.

        Those of another training are removed: they could only be mistaken for ours.
        """
        numbers = sorted(self._numbers(), reverse=True)
        for number in numbers:
            saved = self.find(number)
            if saved is not None:
                return saved
        if numbers:
            _LOG.warning(
                "%s: no checkpoint of this model, configuration and data is whole; "
                "training starts afresh",
                self._folder,
            )
            for number in numbers:
                self._remove(number)
        return None

    def find(self, number: int) -> Saved | None:
        """Returns one checkpoint, None where there is no whole one of ours."""
        try:
            if not self._is_whole(number):
                return None
            with tf.io.gfile.GFile(self._path(number), "rb") as file:
                header = json.loads(file.readline())
            if header["format"] != FORMAT or header["key"] != self._key:
                return None
            state = LoopState.model_validate(header["state"])
            return Saved(number, state, header["groups"])
        # Whatever a broken file holds, it is not a checkpoint.
        except (tf.errors.OpError, ValueError, KeyError, TypeError):
            return None

    def arrays(self, saved: Saved) -> dict[str, Iterator[np.ndarray]]:
        """Returns the arrays of each group, one in memory at a time.

        The groups must be read in their order, each to its end.
        """
        arrays = self._read(saved.number)
        return {
            name: _take(arrays, count, last=i == len(saved.groups) - 1)
            for i, (name, count) in enumerate(saved.groups.items())
        }

    def keep_only(self, numbers: Iterable[int]) -> None:
        """Removes all other checkpoints."""
        wanted = set(numbers)
        for number in self._numbers():
            if number not in wanted:
                self._remove(number)

    def append(self, epochs: Sequence[Epoch]) -> None:
        """Adds epochs to the journal."""
        lines = "".join(f"{epoch.model_dump_json()}\n" for epoch in epochs)
        with tf.io.gfile.GFile(self._journal, "a") as file:
            file.write(lines)

    def rewind(self, count: int) -> list[Epoch]:
        """Returns the first epochs of the journal, and drops all others.

        Raises:
          ValueError: If it holds fewer.
        """
        lines: list[str] = []
        if tf.io.gfile.exists(self._journal):
            with tf.io.gfile.GFile(self._journal, "r") as file:
                lines = file.read().splitlines()[:count]
        if len(lines) < count:
            raise ValueError(f"{self._journal}: {len(lines)} of {count} epochs")
        epochs = [Epoch.model_validate_json(line) for line in lines]
        unfinished = f"{self._journal}.unfinished"
        with tf.io.gfile.GFile(unfinished, "w") as file:
            file.write("".join(f"{line}\n" for line in lines))
        tf.io.gfile.rename(unfinished, self._journal, overwrite=True)
        return epochs

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        # Nobody could find a temporary folder again.
        if self._temporary:
            self.remove()

    def remove(self) -> None:
        """Removes the folder's checkpoints, and the folder if nothing else is in it."""
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for name in tf.io.gfile.listdir(self._folder):
            if name.startswith(_JOURNAL) or _SUFFIX in name:
                tf.io.gfile.remove(os.path.join(self._folder, name))
        if not tf.io.gfile.listdir(self._folder):
            tf.io.gfile.rmtree(self._folder)

    @property
    def _journal(self) -> str:
        return os.path.join(self._folder, _JOURNAL)

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:06d}{_SUFFIX}")

    def _numbers(self) -> list[int]:
        return [
            int(name.removesuffix(_SUFFIX))
            for name in tf.io.gfile.listdir(self._folder)
            if name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX).isdigit()
        ]

    def _remove(self, number: int) -> None:
        tf.io.gfile.remove(self._path(number))

    def _is_whole(self, number: int) -> bool:
        checksum, rest = 0, b""
        with tf.io.gfile.GFile(self._path(number), "rb") as file:
            while chunk := file.read(_CHUNK):
                rest += chunk
                checksum = zlib.crc32(rest[:-4], checksum)
                rest = rest[-4:]
        return checksum.to_bytes(4, "big") == rest

    def _read(self, number: int) -> Iterator[np.ndarray]:
        with tf.io.gfile.GFile(self._path(number), "rb") as file:
            header = json.loads(file.readline())
            for entry in header["arrays"]:
                # NumPy alone does not know bfloat16.
                dtype = np.dtype(tf.as_dtype(entry["dtype"]).as_numpy_dtype)
                size = int(np.prod(entry["shape"], dtype=np.int64)) * dtype.itemsize
                yield np.frombuffer(file.read(size), dtype).reshape(entry["shape"])


def _take(
    arrays: Iterator[np.ndarray], count: int, *, last: bool
) -> Iterator[np.ndarray]:
    for _ in range(count):
        yield next(arrays)
    if last:
        # Closes the file.
        for _ in arrays:
            raise ValueError("checkpoint: more arrays than its groups name")


def _dtype_name(array: Any) -> str:
    return str(tf.as_dtype(array.dtype).name)
