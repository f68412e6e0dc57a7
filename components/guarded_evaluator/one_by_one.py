# SPDX-License-Identifier: Apache-2.0
"""Asks a model about examples one by one, and compares with asking in a batch.

TFMA asks in large, mixed batches. A model whose answer to one example depends on the
others, because batch statistics or dropout were left on in its serving graph, looks
well there and fails in use.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from tfx_bsl.coders import example_coder

from components.guarded_evaluator.measure import JudgedModel, LabelReader
from components.guarded_evaluator.metrics.paired import NUM_FIELDS, paired_outcome
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
    """
    if not serialized:
        return make_pair(ONE_BY_ONE, split, np.zeros(NUM_FIELDS))
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    class_ids = labels.read(decoder.DecodeBatch(list(serialized)), split)
    # Bound to a name: the signatures do not keep the model's variables alive.
    loaded = tf.saved_model.load(model.path)
    signature = loaded.signatures[model.signature]

    def ask(batch: Sequence[bytes]) -> np.ndarray:
        outputs = signature(tf.constant(list(batch)))
        key = model.prediction_key or next(iter(outputs))
        return outputs[key].numpy().astype(np.float64)

    together = ask(serialized)
    alone = np.concatenate([ask([example]) for example in serialized])
    outcomes = map(_outcome, class_ids, together, alone)
    return make_pair(ONE_BY_ONE, split, np.sum(list(outcomes), axis=0))


def choose_examples(patterns: Iterable[str]) -> list[bytes]:
    """Reads a few different examples from files that begin with mixed ones.

    Args:
      patterns: File patterns of TFRecords, gzipped where the name ends in `.gz`.

    Returns:
      Up to 32 serialized tf.Examples; empty where the files are.
    """
    files = sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
    records = itertools.chain.from_iterable(
        tf.data.TFRecordDataset(
            file, "GZIP" if file.endswith(".gz") else None
        ).as_numpy_iterator()
        for file in files
    )
    distinct = list(dict.fromkeys(itertools.islice(records, _NUM_READ)))
    return distinct[:: max(len(distinct) // _NUM_EXAMPLES, 1)][:_NUM_EXAMPLES]


def _outcome(label: int, in_batch: np.ndarray, alone: np.ndarray) -> np.ndarray:
    outcome = paired_outcome(label, in_batch, alone)
    if not np.isfinite(in_batch).all() and not np.isfinite(alone).all():
        outcome[-1] = 0.0  # Either way, so it is no matter of the batch.
    return outcome
