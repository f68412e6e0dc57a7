# SPDX-License-Identifier: Apache-2.0
"""Asks a model about examples one by one, and compares with asking in a batch."""

import numpy as np

from components.guarded_evaluator.metrics.paired import NUM_FIELDS, paired_outcomes
from components.guarded_evaluator.results import make_pair
from components.judging.asking import Given
from components.judging.data.source import JudgedSplit
from components.judging.models.asked import AskedModel
from components.records.evaluation import CANDIDATE, ONE_BY_ONE, PairedResult

_NUM_EXAMPLES = 32
"""Examples that are asked about alone, as in the pipeline."""
_NUM_READ = 256
"""Examples of which they are chosen, so that they differ."""


def compare(model: AskedModel, split: JudgedSplit, name: str) -> PairedResult:
    """Compares the model with itself, asked about each example alone.

    Args:
      model: The model under judgement.
      split: The examples.
      name: Name of the split in the record.

    Returns:
      The comparison; of no examples where there are none.

    Raises:
      InputError: If the model does not take the data.
    """
    positions = choose(split)
    if not len(positions):
        return make_pair(ONE_BY_ONE, name, np.zeros(NUM_FIELDS))
    together = Given(split, positions).ask(model, CANDIDATE)
    alone = np.concatenate(
        [
            Given(split, positions[i : i + 1]).ask(model, CANDIDATE)
            for i in range(len(positions))
        ]
    )
    # Not a number either way is no matter of the batch.
    broken = ~np.isfinite(together).all(axis=1) & ~np.isfinite(alone).all(axis=1)
    outcome = paired_outcomes(split.class_ids[positions], together, alone)
    outcome[4] -= np.count_nonzero(broken)
    return make_pair(ONE_BY_ONE, name, outcome)


def choose(split: JudgedSplit) -> np.ndarray:
    """Returns the positions of a few different examples, int64 of shape (n,), n <= 32.

    Those that the pipeline chooses from files that hold the examples in this order.
    """
    first = np.arange(min(_NUM_READ, len(split.class_ids)))
    found: dict[bytes, int] = {}
    for position, serialized in zip(first, split.serialized(first), strict=True):
        found.setdefault(serialized, int(position))
    distinct = np.array(list(found.values()), np.int64)
    return distinct[:: max(len(distinct) // _NUM_EXAMPLES, 1)][:_NUM_EXAMPLES]
