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
_BYTES, _FLOATS, _INTEGERS, _PICTURES = b"b", b"f", b"i", b"p"


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
    return fingerprint_of(
        b"".join(
            feature_part(name, canonical_value(features[name]))
            for name in sorted(features)
            if name not in ignore and len(features[name])
        )
    )


def fingerprint_of(parts: bytes) -> bytes:
    """Returns the fingerprint of what `feature_part` made of each feature, joined."""
    return hashlib.blake2b(parts, digest_size=DIGEST_SIZE).digest()


def feature_part(name: str, canonical: bytes) -> bytes:
    """Returns a feature's part of what the fingerprint is taken of.

    Name and canonical value, each preceded by its length. The parts are joined in
    the order of the names.
    """
    encoded = name.encode()
    return b"".join((_length(encoded), encoded, _length(canonical), canonical))


def number_part_head(name: str, length: int) -> bytes:
    """Returns how the part of a feature of `length` floats begins.

    What follows are the floats of `canonical_floats`; this is for columns of many
    rows, whose floats are made in one go.
    """
    encoded = name.encode()
    size = len(_FLOATS) + 8 * length
    return b"".join(
        (_length(encoded), encoded, struct.pack("<Q", size), _FLOATS),
    )


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
    if array.dtype.kind in "fbi":
        floats = canonical_floats(array)
        if floats is not None:
            return _FLOATS + floats.tobytes()
        return _INTEGERS + array.astype("<i8").tobytes()
    raise TypeError(
        "the values of a feature must be all bytes, all int64 or all floats, but "
        f"{values[0]!r} is {type(values[0]).__name__} (as an array {array.dtype}); "
        "encode texts as UTF-8"
    )


def canonical_floats(numbers: np.ndarray) -> np.ndarray | None:
    """Returns numbers as float64, equal bits for equal numbers.

    Args:
      numbers: Floats, integers or booleans, shape (n,).

    Returns:
      Little-endian float64, shape (n,), with one zero and one NaN; None if an
      integer is no float64 number.
    """
    if numbers.dtype.kind != "f" and not _are_floats(numbers.astype(np.int64)):
        return None
    floats = numbers.astype("<f8") + 0.0  # Adding 0.0 turns -0.0 into 0.0.
    floats[np.isnan(floats)] = np.nan
    return floats.astype("<f8", copy=False)


def canonical_pictures(
    values: Sequence[bytes], decoded: Sequence[np.ndarray | None]
) -> bytes:
    """Encodes the values of a feature with images: equal bytes for equal pixels.

    Pixels stand as a digest of 32 bytes, which is as good as injective, so that no
    large picture is copied.

    Args:
      values: The values as they are stored; at least one.
      decoded: For each value its pixels, uint8 of shape (height, width, 3), or None
        for one that is no image and counts as it is stored.

    Returns:
      As `canonical_value` if no value is an image.
    """
    if all(pixels is None for pixels in decoded):
        return canonical_value(values)
    encoded = [_PICTURES]
    for value, pixels in zip(values, decoded, strict=True):
        if pixels is None:
            encoded += (_BYTES, _length(value), value)
        else:
            digest = hashlib.blake2b(
                struct.pack("<QQ", *pixels.shape[:2]), digest_size=32
            )
            digest.update(np.ascontiguousarray(pixels).data)
            encoded += (_PICTURES, digest.digest())
    return b"".join(encoded)


def _are_floats(integers: np.ndarray) -> bool:
    """Whether each integer, shape (n,), is a float64 number."""
    large = integers[(integers > _EXACT) | (integers < -_EXACT)]
    # In Python integers: casting 2.0**63 back to int64 overflows.
    return all(int(float(value)) == value for value in large.tolist())


def _length(part: bytes) -> bytes:
    return struct.pack("<Q", len(part))
