# SPDX-License-Identifier: Apache-2.0
"""Asks a model about examples one by one, and compares with asking in a batch.

TFMA asks in large, mixed batches. A model whose answer to one example depends on the
others, because batch statistics or dropout were left on in its serving graph, looks
well there and fails in use. Alone is where it shows most: of twelve models with such
faults, none answered farther off in batches in another order, of half the size or
with other companions, but for one that shifts its answers by a row (0.76 and 0.83).
"""

import itertools
import re
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.guarded_evaluator.asking import Asked
from components.guarded_evaluator.metrics.paired import NUM_FIELDS, paired_outcomes
from components.guarded_evaluator.models import JudgedModel
from components.guarded_evaluator.reading import LabelReader
from components.guarded_evaluator.results import make_pair
from components.records.evaluation import ONE_BY_ONE, PairedResult

_NUM_EXAMPLES = 32
"""Examples that are asked about alone; a model that depends on the batch shows it on
most examples, not on few."""
_NUM_READ = 256
"""Examples of which they are chosen, so that they differ: rows that are sorted by
class or repeated would make a batch of equals, whose statistics tell nothing."""


def compare(
    model: JudgedModel, labels: LabelReader, serialized: Sequence[bytes], split: str
) -> PairedResult:
    """Compares the model with itself, asked about each example alone.

    Args:
      model: The serving model.
      labels: Reads the labels of the examples.
      serialized: tf.Examples.
      split: Name of their split.

    Returns:
      The comparison; of no examples where there are none.

    Raises:
      InputError: If the model cannot be loaded or does not take the examples, or they
        have no label that it knows.
    """
    if not serialized:
        return make_pair(ONE_BY_ONE, split, np.zeros(NUM_FIELDS))
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    class_ids = labels.read(decoder.DecodeBatch(list(serialized)), split)
    asked = Asked(model)
    together = asked.probabilities(serialized)
    alone = np.concatenate([asked.probabilities([example]) for example in serialized])
    outcome = paired_outcomes(np.array(class_ids), together, alone)
    # What is not finite either way is no matter of the batch.
    broken = ~np.isfinite(together).all(axis=1) & ~np.isfinite(alone).all(axis=1)
    outcome[4] -= np.count_nonzero(broken)
    return make_pair(ONE_BY_ONE, split, outcome)


def choose_examples(patterns: Iterable[str]) -> list[bytes]:
    """Reads a few different examples from files that begin with mixed ones.

    Args:
      patterns: File patterns of TFRecords, gzipped where the name ends in `.gz`.

    Returns:
      Up to 32 serialized tf.Examples; empty where the files are.

    Raises:
      InputError: If a file is damaged.
    """
    files = sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
    records = itertools.chain.from_iterable(map(_records, files))
    distinct = list(dict.fromkeys(itertools.islice(records, _NUM_READ)))
    return distinct[:: max(len(distinct) // _NUM_EXAMPLES, 1)][:_NUM_EXAMPLES]


def _records(file: str) -> Iterable[bytes]:
    compression = "GZIP" if file.endswith(".gz") else None
    dataset = tf.data.TFRecordDataset(file, compression)
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        raise InputError(
            f"{file}: expected TFRecords, but they cannot be read "
            f"({_reason(error)}); write the examples again"
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message without the names of its operations."""
    plain = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", error.message)
    return f"{type(error).__name__}: {' '.join(plain.split())[:200]}"
