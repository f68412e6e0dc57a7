# SPDX-License-Identifier: Apache-2.0
"""Tells the format of data files by their names."""

import re
from pathlib import Path
from typing import Literal

DataFormat = Literal["tfrecord", "csv", "parquet", "images"]

ENDINGS: dict[str, DataFormat] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}
"""Endings in lower case; each also with `.gz` behind it."""
_SHARD = re.compile(r"tfrecords?-\d+-of-\d+$")
"""How TFX names the files of a split: `data_tfrecord-00000-of-00001.gz`."""


def format_of(path: Path) -> DataFormat | None:
    """Returns the format that a file's name tells; None if it tells none."""
    name = path.name.lower().removesuffix(".gz")
    if _SHARD.search(name):
        return "tfrecord"
    return ENDINGS.get(Path(name).suffix)
