# SPDX-License-Identifier: Apache-2.0
"""Which records leak, by their digests: all of them, not only those in the evidence."""

from collections.abc import Iterable, Sequence

import numpy as np

from components.leakage.tables import Table, is_shared, keys_of
from components.leakage.times import newest_time


def sharing(
    tables: Iterable[Table], splits: Sequence[str], reference_split: str
) -> np.ndarray:
    """Returns the records of other splits whose key is also in the reference split.

    Args:
      tables: Rows of whole keys, in parts.
      splits: Names of the splits that the rows point to.
      reference_split: Name of the split that the others are held against.

    Returns:
      Digests, uint64, ascending, each once.
    """
    reference = list(splits).index(reference_split)
    found = []
    for table in tables:
        keys = keys_of(table, len(splits))
        shared = is_shared(keys, reference)[keys.of_rows]
        found.append(table.rows["digest"][shared & (table.rows["split"] != reference)])
    return _union(found)


def older(
    tables: Iterable[Table], splits: Sequence[str], reference_split: str
) -> np.ndarray:
    """Returns the records of other splits older than the newest of the reference.

    Args:
      tables: Rows whose keys are times; read twice.
      splits: Names of the splits that the rows point to.
      reference_split: Name of the split that the others are held against.

    Returns:
      Digests, uint64, ascending, each once.
    """
    reference = list(splits).index(reference_split)
    newest = newest_time(tables, reference)
    if newest is None:
        return _union([])
    return _union(
        table.rows["digest"][
            (table.rows["split"] != reference) & (table.rows["high"] < newest)
        ]
        for table in tables
    )


def _union(digests: Iterable[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([np.empty(0, np.uint64), *digests]))
