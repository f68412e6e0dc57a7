# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of an example's content: equal content, equal fingerprint.

Content is what a model could learn from: all features but the label and those
that the user names as no content (ids, paths). Two examples have equal content
if each feature has equal values in equal order, whatever the order of the
features, the serialization, or the type that numbers are stored in.
"""

import hashlib
import struct
from collections.abc import Collection, Mapping, Sequence

import numpy as np

Values = Sequence[bytes] | Sequence[int] | Sequence[float] | np.ndarray
"""The values of one feature, all of one type; numbers also as an array of shape
(n,)."""

DIGEST_SIZE = 16
"""Bytes of a fingerprint. With 128 bits, the odds that any two among a billion
different contents share one are below 2e-21 (birthday bound n^2 / 2^129)."""

_EXACT = 2**53  # Up to here, every integer is a float64.
_BYTES, _FLOATS, _INTEGERS = b"b", b"f", b"i"


def fingerprint(features: Mapping[str, Values], ignore: Collection[str] = ()) -> bytes:
    """Returns the fingerprint of an example's content.

    The encoding that is hashed is injective: names and values are preceded by
    their lengths, so no shift of bytes from one to the next goes unseen. A feature
    without values equals an absent one, as TFX's ExampleGen writes missing values
    in both ways.

    Args:
      features: Values by feature name.
      ignore: Names of the features that are no content, such as the label.

    Returns:
      16 bytes (BLAKE2b); the same for all examples without content.

    Raises:
      TypeError: If values are neither bytes nor numbers.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for name in sorted(features):
        if name in ignore or not len(features[name]):
            continue
        for part in (name.encode(), canonical_value(features[name])):
            digest.update(_length(part))
            digest.update(part)
    return digest.digest()


def canonical_value(values: Values) -> bytes:
    """Encodes the values of one feature, equal bytes for equal values.

    Numbers count by value: the integer 5 equals the float 5.0, -0.0 equals 0.0,
    and all NaNs are equal, whatever their bits. Floats, and integers that are all
    float64 numbers, are written as float64; a list with an integer beyond that is
    written as int64, which no list of floats can equal. Bytes are taken as they
    are: two encodings of one image differ.

    Args:
      values: At least one value.

    Returns:
      The type, then the values; injective but for the equalities above.

    Raises:
      TypeError: If values are neither bytes nor numbers.
    """
    if not isinstance(values, np.ndarray):
        texts = [value for value in values if isinstance(value, bytes)]
        if len(texts) == len(values):
            return _BYTES + b"".join(_length(text) + text for text in texts)
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return _FLOATS + _float_bytes(array)
    if array.dtype.kind in "bi":
        integers = array.astype(np.int64)
        if _are_floats(integers):
            return _FLOATS + _float_bytes(integers)
        return _INTEGERS + integers.astype("<i8").tobytes()
    raise TypeError(
        "the values of a feature must be all bytes, all int64 or all floats, but "
        f"{values[0]!r} is {type(values[0]).__name__} (as an array {array.dtype}); "
        "encode texts as UTF-8"
    )


def _float_bytes(numbers: np.ndarray) -> bytes:
    floats = numbers.astype("<f8") + 0.0  # Adding 0.0 turns -0.0 into 0.0.
    floats[np.isnan(floats)] = np.nan
    return floats.astype("<f8").tobytes()


def _are_floats(integers: np.ndarray) -> bool:
    """Whether each integer, shape (n,), is a float64 number."""
    large = integers[(integers > _EXACT) | (integers < -_EXACT)]
    # In Python integers: casting 2.0**63 back to int64 overflows.
    return all(int(float(value)) == value for value in large.tolist())


def _length(part: bytes) -> bytes:
    return struct.pack("<Q", len(part))
