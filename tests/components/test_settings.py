# SPDX-License-Identifier: Apache-2.0
import math

import pydantic
import pytest

from components.settings import Settings


class Limits(Settings):
    share: float = 0.5
    names: tuple[str, ...] = ()


def test_json_round_trip():
    limits = Limits(share=0.25, names=("a", "ü"))
    assert Limits.from_json(limits.to_json()) == limits


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_survive(number):
    read = Limits.from_json(Limits(share=number).to_json()).share
    assert read == number or (math.isnan(read) and math.isnan(number))


def test_equal_settings_give_the_same_text():
    assert Limits(names=("a",)).to_json() == Limits(names=("a",), share=0.5).to_json()


def test_settings_are_frozen():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Limits().share = 1.0


def test_unknown_keys_are_refused():
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        Limits.from_json('{"shar": 1}')
