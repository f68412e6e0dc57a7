# SPDX-License-Identifier: Apache-2.0
"""Examples that do not fit into memory, shuffled on disk.

A shuffle buffer mixes only what is near on disk: of a split that is sorted by class
and larger than the buffer, it makes batches of one class. So each example goes to one
of several files at random, once. Each file is then a random sample of the split that
fits into memory, where it is shuffled fully; and the files come in another order in
each epoch.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import weakref

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.reading import order
from components.guarded_trainer.reading.held_out import Choice, content_hash
from components.guarded_trainer.reading.settings import ReadingConfig

_WRITE_BATCH = 512
_LOADED = 4
"""Files in memory at a time: one is read from, one waits, two are being loaded."""
_MAX_FILES = 256
"""Most files open at a time; usual systems allow 1024."""
_PLACEMENT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Spill:
    """Serialized examples in files that are random samples of all of them.

    Attributes:
      files: Paths of the files that hold the examples to fit; none is empty.
      file_rows: Number of examples in each.
      held_out_file: Path of the file with the examples held out, in stored order.
    """

    files: tuple[str, ...]
    file_rows: tuple[int, ...]
    held_out_file: str

    def batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless shuffled batches of serialized examples, shape (batch,).

        Each example occurs once in an epoch, whose last batch may be smaller.
        """
        files = tf.constant(self.files)
        rows = tf.constant(self.file_rows, tf.int64)

        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            def load(file: tf.Tensor) -> tf.Tensor:
                records = tf.data.TFRecordDataset(tf.gather(files, file))
                examples = records.batch(tf.gather(rows, file)).get_single_element()
                return order.shuffle(
                    examples, seed, epoch * len(self.files) + tf.cast(file, tf.int64)
                )

            numbers = order.shuffle(tf.range(len(self.files)), seed, epoch)
            return (
                tf.data.Dataset.from_tensor_slices(numbers)
                .map(load, num_parallel_calls=2, deterministic=True)
                .prefetch(1)
                .unbatch()
                .batch(batch_size)
            )

        return order.endless(of_epoch, first_epoch)

    def held_out(self) -> tf.data.Dataset:
        """Returns the serialized examples held out, in stored order."""
        return tf.data.TFRecordDataset(self.held_out_file)


def spill(
    serialized: tf.data.Dataset,
    choice: Choice,
    num_bytes: int,
    reading: ReadingConfig,
) -> Spill:
    """Writes examples to files that are random samples of them.

    The files are deleted with what is returned, or when the process ends.

    Args:
      serialized: The examples, scalar strings.
      choice: Which of them are held out.
      num_bytes: Size of all examples.
      reading: How much memory reading the files may take. Beyond 64 times as many
        bytes of examples it takes more: a 64th of the examples.

    Raises:
      InputError: If there is too little room on disk.
    """
    _check_room(reading.spill_dir, num_bytes)
    num_files = min(-(-num_bytes * _LOADED // reading.memory_bytes), _MAX_FILES)
    folder = tempfile.mkdtemp(prefix="tfx-guard-", dir=reading.spill_dir)
    try:
        written = _write(serialized, choice, folder, num_files)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(written, shutil.rmtree, folder, ignore_errors=True)
    return written


def _write(
    serialized: tf.data.Dataset, choice: Choice, folder: str, num_files: int
) -> Spill:
    paths = [f"{folder}/{i:03d}.tfrecord" for i in range(num_files)]
    held_out_path = f"{folder}/held_out.tfrecord"
    counts = np.zeros(num_files + 1, np.int64)
    # Drawn, not taken from a hash of the content: copies would be in one file.
    random = np.random.default_rng(_PLACEMENT_SEED)
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(tf.io.TFRecordWriter(path))
            for path in [*paths, held_out_path]
        ]
        for batch in serialized.batch(_WRITE_BATCH):
            examples, held_out = batch.numpy(), choice.mask(content_hash(batch).numpy())
            drawn = random.integers(num_files, size=len(examples))
            numbers = np.where(held_out, num_files, drawn)
            counts += np.bincount(numbers, minlength=len(counts))
            for example, number in zip(examples, numbers.tolist(), strict=True):
                writers[number].write(example)
    kept = np.flatnonzero(counts[:-1])
    return Spill(
        tuple(paths[i] for i in kept), tuple(counts[kept].tolist()), held_out_path
    )


def _check_room(folder: str | None, num_bytes: int) -> None:
    where = folder or tempfile.gettempdir()
    try:
        free = shutil.disk_usage(where).free
    except OSError as error:
        raise InputError(
            f"spill_dir: expected a folder to shuffle in, but {where!r} cannot be used "
            f"({error.strerror}); name a folder that exists"
        ) from error
    if num_bytes > free:
        raise InputError(
            f"spill_dir: expected {num_bytes / 2**30:.1f} GiB of room to shuffle a "
            f"training split that does not fit into memory, but {where!r} has "
            f"{free / 2**30:.1f} GiB free; name another folder, or raise `memory_bytes`"
        )
