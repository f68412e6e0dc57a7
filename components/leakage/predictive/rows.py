# SPDX-License-Identifier: Apache-2.0
"""What one example gives to the sample that single features are judged on."""

import functools
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from components.content.fingerprint import Values

MAX_ENTRIES = 4096
"""Entries of one vector feature that are looked at. Of a longer one every 2nd, 4th,
8th ... is taken, so that a single wide feature cannot crowd out the rows."""
MAX_TEXT = 1024
"""Bytes beyond which a text is no category; only its presence counts."""
_MAX_DIGITS = 15  # A float64 holds every integer of 15 digits.


class SampleRow(NamedTuple):
    """One example in a form that is small, comparable and quick to serialize."""

    label: str
    """Text of the label."""
    file: str
    """Path of the file that the example stands in."""
    position: int
    """Position in the file, from 0."""
    layout: str
    """JSON: name and number of values of each numeric feature, sorted by name."""
    numbers: bytes
    """The values in the order of the layout, float64 in little-endian order; of a
    long vector only each `stride(size)`-th."""
    texts: tuple[tuple[str, int], ...]
    """Name and 64-bit hash of each text feature."""
    ids: tuple[tuple[str, float, bool], ...]
    """Of each feature that is no content: name, the number in it, and whether its
    text contains the label as a word."""

    @property
    def cells(self) -> int:
        """Values of the content, which the size of a sample is counted in."""
        return len(self.numbers) // 8 + len(self.texts)


def make_row(
    features: Mapping[str, Values],
    label: str,
    *,
    label_key: str,
    no_content: Collection[str] = (),
    file: str = "",
    position: int = 0,
) -> SampleRow:
    """Packs an example into a row.

    Numbers count by value as float64; a text counts as a whole, also one of several
    values.

    Args:
      features: Values by feature name.
      label: Text of the label.
      label_key: Name of the label feature, which is left out.
      no_content: Names of the features that a model does not see, such as ids.
      file: Path of the file that the example stands in.
      position: Position of the example in its file.
    """
    sizes, numbers, texts, ids = [], [], [], []
    for name in sorted(features):
        values = features[name]
        if name == label_key or not len(values):
            continue
        if name in no_content:
            ids.append((name, *_read_id(values, label)))
        elif isinstance(values[0], bytes):
            texts.append((name, _hash(values)))
        else:
            array = np.asarray(values)
            sizes.append((name, len(array)))
            step = stride(len(array))
            # float32 is widened, integers are rounded beyond 2 ** 53.
            numbers.append(array[::step].astype("<f8"))
    return SampleRow(
        label,
        file,
        position,
        _layout(tuple(sizes)),
        b"".join(part.tobytes() for part in numbers),
        tuple(texts),
        tuple(ids),
    )


def stride(size: int) -> int:
    """Returns the power of two by which a vector of `size` entries is thinned."""
    step = 1
    while -(-size // step) > MAX_ENTRIES:
        step *= 2
    return step


@functools.lru_cache(maxsize=1024)
def _layout(sizes: tuple[tuple[str, int], ...]) -> str:
    """Returns one string object for all rows of the same layout."""
    return json.dumps(sizes)


def _hash(texts: Iterable[Any]) -> int:
    texts = list(texts)
    digest = hashlib.blake2b(digest_size=8)
    if sum(map(len, texts)) <= MAX_TEXT:
        for text in texts:
            digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little", signed=True)


def _read_id(values: Values, label: str) -> tuple[float, bool]:
    """Returns the number in an id (NaN if none), and whether it names the label."""
    first = values[0]
    if not isinstance(first, bytes):
        return float(first), False
    text = first[:MAX_TEXT].decode("utf-8", "replace")
    digits = "".join(re.findall("[0-9]+", text))[:_MAX_DIGITS]
    return float(digits or "nan"), bool(_word(label).search(text))


@functools.lru_cache(maxsize=1024)
def _word(label: str) -> re.Pattern[str]:
    """Returns what finds a label that stands by itself, as folders in paths do."""
    return re.compile(rf"(?<![^\W_]){re.escape(label)}(?![^\W_])", re.IGNORECASE)
