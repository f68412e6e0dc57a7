# SPDX-License-Identifier: Apache-2.0
"""One row of a Parquet file as a tf.train.Example."""

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2

from components.errors import InputError


def to_example(row: Mapping[str, Any]) -> example_pb2.Example:
    """Turns a row into an example; a value that is missing becomes an empty feature.

    Integers and booleans become an int64_list, floats and decimals a float_list, texts
    and bytes a bytes_list, dates and times their ISO 8601 text. Lists keep their
    values. 0, 0.0, False and "" are values; only None is missing.

    Args:
      row: Values by column.

    Raises:
      InputError: If a value is of another type, or an integer beyond 64 bits.
    """
    return example_pb2.Example(
        features=feature_pb2.Features(
            feature={name: _feature(value, name) for name, value in row.items()}
        )
    )


def _feature(value: Any, column: str) -> feature_pb2.Feature:
    if value is None:
        return feature_pb2.Feature()
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    values = [_plain(each) for each in (value if is_list else (value,))]
    if not values:
        return feature_pb2.Feature()
    try:
        if all(isinstance(each, int) for each in values):
            return feature_pb2.Feature(int64_list={"value": values})
        if all(isinstance(each, int | float) for each in values):
            return feature_pb2.Feature(float_list={"value": values})
        if all(isinstance(each, bytes) for each in values):
            return feature_pb2.Feature(bytes_list={"value": values})
    except ValueError as error:  # Beyond 64 bits.
        raise InputError(
            f"column {column!r}: expected integers of 64 bits with a sign, but there "
            f"is {value!r:.40}; write them as texts or fractions"
        ) from error
    # Of a mix of texts and numbers the texts are named.
    kind = next(
        type(each).__name__ for each in values if not isinstance(each, int | float)
    )
    raise InputError(
        f"column {column!r}: expected numbers, texts, dates, or lists of one of them, "
        f"but a row holds {kind} in {value!r:.60}; turn the column into one of these, "
        "or leave it out of the files"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.date | datetime.time):  # A datetime is a date.
        return value.isoformat().encode()
    return value
