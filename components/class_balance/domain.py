# SPDX-License-Identifier: Apache-2.0
"""The classes that a schema lists."""

from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import InputError
from components.labels import LabelValue, parse_label

_MAX_RANGE = 100_000
"""Integers that a bounded domain may span; beyond it, it is no list of classes."""


def read_label_domain(
    schema: schema_pb2.Schema, label_key: str
) -> tuple[LabelValue, ...]:
    """Returns the classes that the schema lists for the label.

    They come from a text domain, from an integer domain with both bounds, or from
    a boolean domain. An integer label may have a text domain: SchemaGen infers
    one from the counted values of a label.

    Returns:
      The classes; empty if the label or its domain is not in the schema.

    Raises:
      InputError: If an integer label has a text domain with a value that is no
        integer, or a range too wide to be a list of classes.
    """
    for feature in schema.feature:
        if feature.name == label_key:
            return _classes(schema, feature)
    return ()


def _classes(
    schema: schema_pb2.Schema, feature: schema_pb2.Feature
) -> tuple[LabelValue, ...]:
    integer = feature.type == schema_pb2.INT
    kind = feature.WhichOneof("domain_info")
    if kind == "domain":
        for domain in schema.string_domain:
            if domain.name == feature.domain:
                return _parsed(feature.name, domain, integer)
    if kind == "string_domain":
        return _parsed(feature.name, feature.string_domain, integer)
    if kind == "bool_domain":
        domain = feature.bool_domain
        return (0, 1) if integer else (domain.false_value, domain.true_value)
    if kind == "int_domain" and integer:
        return _range(feature.name, feature.int_domain)
    return ()


def _parsed(
    label_key: str, domain: schema_pb2.StringDomain, integer: bool
) -> tuple[LabelValue, ...]:
    try:
        return tuple(parse_label(value, integer=integer) for value in domain.value)
    except ValueError as error:
        raise InputError(
            f"schema: expected integers in the domain of the integer label "
            f"{label_key!r}, but found {sorted(domain.value)[:6]}; list the label's "
            "values, or make its type BYTES"
        ) from error


def _range(label_key: str, domain: schema_pb2.IntDomain) -> tuple[LabelValue, ...]:
    if not (domain.HasField("min") and domain.HasField("max")):
        return ()
    if domain.max - domain.min >= _MAX_RANGE:
        raise InputError(
            f"schema: expected the classes as the range of label {label_key!r}, at "
            f"most {_MAX_RANGE} integers, but it is {domain.min} to {domain.max}; "
            "narrow the bounds of its int_domain, or remove them"
        )
    return tuple(range(domain.min, domain.max + 1))
