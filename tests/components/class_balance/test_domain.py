# SPDX-License-Identifier: Apache-2.0
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.class_balance.domain import read_label_domain
from components.errors import InputError


def schema(label):
    return text_format.Parse(
        f'feature {{ name: "x" type: FLOAT }} feature {{ name: "y" {label} }} '
        'string_domain { name: "shared" value: "1" value: "0" }',
        schema_pb2.Schema(),
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("type: INT int_domain { min: -1 max: 1 }", (-1, 0, 1)),
        ("type: INT int_domain { min: 0 is_categorical: true }", ()),
        ("type: INT int_domain { min: 1 max: 100000 }", tuple(range(1, 100_001))),
        ("type: INT bool_domain {}", (0, 1)),
        ('type: INT domain: "shared"', (1, 0)),
        ('type: BYTES domain: "shared"', ("1", "0")),
        ('type: BYTES domain: "elsewhere"', ()),
        ('type: BYTES string_domain { value: "a" }', ("a",)),
        ('type: BYTES bool_domain { true_value: "y" false_value: "n" }', ("n", "y")),
        ("type: BYTES int_domain { min: 0 max: 1 }", ()),
        ("type: FLOAT float_domain { min: 0 max: 1 }", ()),
        ("type: INT", ()),
    ],
)
def test_classes_of_a_domain(label, expected):
    assert read_label_domain(schema(label), "y") == expected


def test_label_that_is_not_in_the_schema_has_no_domain():
    assert read_label_domain(schema("type: INT"), "z") == ()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("type: INT int_domain { min: 0 max: 100000 }", "0 to 100000; narrow"),
        ('type: INT string_domain { value: "a" }', r"found \['a'\]; list"),
    ],
)
def test_domain_that_is_no_list_of_classes_is_refused(label, message):
    with pytest.raises(InputError, match=message):
        read_label_domain(schema(label), "y")
