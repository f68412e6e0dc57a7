# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import GuardError, InputError


def test_wrong_input_is_caught_with_everything_raised_on_purpose():
    with pytest.raises(GuardError, match="guard.yaml"):
        raise InputError("guard.yaml: expected a mapping")


def test_a_fault_of_the_program_is_not_mistaken_for_wrong_input():
    assert not issubclass(InputError, (ValueError, OSError, RuntimeError))
    assert not issubclass(ValueError, GuardError)
