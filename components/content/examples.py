# SPDX-License-Identifier: Apache-2.0
"""Reads tf.train.Examples, many at once, and tells people about them.

A record is parsed once, and each picture in it is decoded once, for all that look
at it. Batches are decoded by TFX's own reader in C++, which takes a fifteenth of
the time of one Python object per value; what it refuses as a batch (a damaged
record, a feature of two types) is read record by record.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow.core.example import example_pb2, feature_pb2

from components.content import pictures
from components.content.columns import (
    Column,
    Columns,
    columns_of,
    decode_batch,
    encode,
)
from components.content.fingerprint import (
    Values,
    canonical_pictures,
    feature_part,
    fingerprint_of,
)
from components.content.records import Record

RECORD_DIGEST_SIZE = 8
"""Bytes of a record's digest. It finds records again, never judges them equal."""
_MAX_TEXT = 120  # Characters of a row's description.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
"""How files of JPEG, PNG, BMP and GIF begin; WebP is `RIFF....WEBP`."""


def record_digest(record: bytes) -> bytes:
    """Returns the digest by which a serialized record is found again: 8 bytes."""
    return hashlib.blake2b(record, digest_size=RECORD_DIGEST_SIZE).digest()


@dataclasses.dataclass(frozen=True)
class ParsedExample:
    """One example, as all checks share it.

    It is made for steps that run together in one worker: it holds pixels, and must
    not be shuffled.
    """

    data: bytes = dataclasses.field(repr=False)
    """The serialized record."""
    file: str
    """Path of the file that the record stands in."""
    position: int
    """Position of the record in its file, from 0."""
    label: str | None
    """Text of the label; None where there is none, or none that is a class. Of a text
    beyond 120 characters the beginning and a digest."""
    fingerprint: bytes
    """Digest of the content, 16 bytes; see `components.content.fingerprint`."""
    has_content: bool
    """Whether any feature is content."""
    label_problem: str | None
    """Why the label is no class: `float` or `not UTF-8`; None if nothing is."""
    pixels: np.ndarray | None = dataclasses.field(repr=False)
    """The first picture, uint8 of shape (height, width, 3); None if there is none."""
    columns: Columns = dataclasses.field(repr=False)
    """The batch that the example was read in."""
    row: int
    """Its row in the batch."""

    @functools.cached_property
    def features(self) -> dict[str, Values]:
        """Values by feature name; only features that have values."""
        found = {}
        for name, column in self.columns.items():
            values = column.values_of(self.row)
            if len(values):
                found[name] = values
        return found

    def has(self, name: str) -> bool:
        """Whether the example has a value of the feature."""
        column = self.columns.get(name)
        return column is not None and (
            column.offsets[self.row] < column.offsets[self.row + 1]
        )

    def describe(self, label_key: str, ignore: Sequence[str]) -> str:
        """Returns a short text that helps to find it; see `describe_row`."""
        return describe_row(self.features, label_key, ignore)

    @functools.cached_property
    def record_digest(self) -> bytes:
        """The record's digest; see `record_digest`."""
        return record_digest(self.data)


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """A record that is no tf.train.Example, or whose picture cannot be decoded.

    Attributes:
      file: Path of the file.
      position: Position of the record in its file, from 0.
      reason: Why it cannot be read, in a few words.
      row: What helps to find it in its source; empty if nothing is known.
    """

    file: str
    position: int
    reason: str
    row: str = ""


class ExampleParser:
    """Turns records into examples, each with the fingerprint of its content.

    An image counts by its pixels, so that one picture has one fingerprint in each
    lossless format; see `components.content.pictures.decode`.
    """

    def __init__(
        self,
        label_key: str,
        no_content: Collection[str] = (),
        image: str | None = None,
        named_by: Sequence[str] = (),
    ):
        """Says what content is.

        Args:
          label_key: Name of the label feature; it is no content.
          no_content: Names of the other features that are no content.
          image: The feature that holds encoded images; a record whose image cannot
            be decoded is unreadable. None, all bytes that begin like an image file
            are tried, and count as they are stored if they cannot be decoded.
          named_by: Features that help to find an unreadable record in its source,
            such as a path.
        """
        self._label_key = label_key
        self._no_content = frozenset((label_key, *no_content))
        self._image = image
        self._named_by = tuple(named_by)

    def parse(self, records: Sequence[Record]) -> Iterator[ParsedExample | Unreadable]:
        """Parses records, in their order; pixels are decoded one record at a time."""
        if not records:
            return
        columns = decode_batch([record.data for record in records])
        if columns is not None:
            yield from self._parse_batch(records, columns)
            return
        for record in records:
            try:
                features = read_features(record.data)
            except (DecodeError, UnicodeDecodeError):
                yield Unreadable(record.file, record.position, "no tf.train.Example")
                continue
            yield from self._parse_batch([record], columns_of(features))

    def _parse_batch(
        self, records: Sequence[Record], columns: Columns
    ) -> Iterator[ParsedExample | Unreadable]:
        content = [name for name in columns if name not in self._no_content]
        image_names = [name for name in content if self._may_be_image(columns[name])]
        if self._image is not None:
            image_names = [name for name in image_names if name == self._image]
        encoded = [
            [] if name in image_names else encode(name, columns[name])
            for name in content
        ]
        for row, record in enumerate(records):
            pixels: np.ndarray | None = None
            parts = []
            try:
                for name, parts_of in zip(content, encoded, strict=True):
                    if parts_of:
                        parts.append(parts_of[row])
                        continue
                    values = columns[name].texts_of(row)
                    if not values:
                        continue
                    decoded = [self._decode(value) for value in values]
                    parts.append(
                        feature_part(name, canonical_pictures(values, decoded))
                    )
                    if pixels is None:
                        pixels = next((p for p in decoded if p is not None), None)
            except pictures.PictureError as error:
                yield Unreadable(
                    record.file,
                    record.position,
                    f"image {self._image!r}: {error}",
                    self._describe(columns, row),
                )
                continue
            body = b"".join(parts)
            label, problem = _read_label(columns.get(self._label_key), row)
            yield ParsedExample(
                data=record.data,
                file=record.file,
                position=record.position,
                label=label,
                fingerprint=fingerprint_of(body),
                has_content=bool(body),
                label_problem=problem,
                pixels=pixels,
                columns=columns,
                row=row,
            )

    def _may_be_image(self, column: Column) -> bool:
        return isinstance(column.values, list) and (
            self._image is not None or any(map(_is_picture, column.values))
        )

    def _decode(self, value: bytes) -> np.ndarray | None:
        """Returns the pixels; None for bytes that nobody has called an image."""
        if self._image is None and not _is_picture(value):
            return None
        try:
            return pictures.decode(value)
        except pictures.PictureError:
            if self._image is None:
                return None
            raise

    def _describe(self, columns: Columns, row: int) -> str:
        named = {
            name: columns[name].values_of(row)
            for name in self._named_by
            if name in columns and len(columns[name].values_of(row))
        }
        return describe_row(named, self._label_key, self._named_by) if named else ""


def read_features(record: bytes) -> dict[str, Values]:
    """Parses a serialized tf.train.Example into values by feature.

    Returns:
      A list of bytes, or an array of int64 or float32 of shape (n,), for each
      feature that has values.

    Raises:
      google.protobuf.message.DecodeError: If the record is something else.
    """
    features: dict[str, Values] = {}
    example = example_pb2.Example.FromString(record)
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is None or not getattr(feature, kind).value:
            continue
        if kind == "bytes_list":
            features[name] = list(feature.bytes_list.value)
        elif kind == "int64_list":
            features[name] = np.array(feature.int64_list.value[:], np.int64)
        else:
            features[name] = _floats(feature.float_list)
    return features


def _floats(values: feature_pb2.FloatList) -> np.ndarray:
    """Returns the floats as an array, shape (n,).

    FloatList is packed: its wire format ends with the n floats side by side.
    Reading them there takes a tenth of the time of n Python floats.
    """
    wire = values.SerializeToString()
    return np.frombuffer(wire, "<f4", offset=len(wire) - 4 * len(values.value))


def _is_picture(value: bytes) -> bool:
    """Whether bytes begin like an image file."""
    return value.startswith(_MAGIC) or (
        value.startswith(b"RIFF") and value[8:12] == b"WEBP"
    )


def _read_label(column: Column | None, row: int) -> tuple[str | None, str | None]:
    """Returns the label's text, and why it is no class; None where there is none."""
    values = [] if column is None else column.values_of(row)
    if not len(values):
        return None, None
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return None, "float"
    try:
        text = label_text(values, errors="strict")
    except UnicodeDecodeError:
        return None, "not UTF-8"
    if len(text) > _MAX_TEXT:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        text = f"{text[: _MAX_TEXT - 17]}~{digest}"
    return text or None, None


def label_text(values: Values, errors: str = "backslashreplace") -> str:
    """Returns a label as text; several values are joined by commas.

    Args:
      values: The values of the label.
      errors: What to do with bytes that are no UTF-8, as for `bytes.decode`.
    """
    return ", ".join(
        value.decode("utf-8", errors) if isinstance(value, bytes) else str(value)
        for value in values
    )


def describe_row(
    features: Mapping[str, Values], label_key: str, ignore: Sequence[str]
) -> str:
    """Returns a short text that helps to find an example in its source.

    It shows the features that are no content, such as ids and paths; where an
    example has none, the first three features by name.
    """
    shown = [name for name in ignore if name in features]
    if not shown:
        shown = sorted(name for name in features if name != label_key)[:3]
    return ", ".join(f"{name}={preview(features[name])}" for name in shown)[:_MAX_TEXT]


def preview(values: Values) -> str:
    """Returns the first three values of a feature as a short text."""
    text = " ".join(map(_preview, values[:3]))
    return f"{text} ..." if len(values) > 3 else text


def _preview(value: bytes | float) -> str:
    if not isinstance(value, bytes):
        return str(value)
    # A text may begin like a picture, but no picture is as short as a name.
    is_picture = len(value) > 60 and _is_picture(value)
    return f"({len(value)} bytes)" if is_picture else _text(value)


def _text(value: bytes) -> str:
    """Returns a text in quotes, or bytes that are none as Python writes them."""
    try:
        return repr(value.decode()[:_MAX_TEXT])
    except UnicodeDecodeError:
        return repr(value[:40])
