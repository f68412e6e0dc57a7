# SPDX-License-Identifier: Apache-2.0
"""The base class of every configuration and record of this project."""

from typing import TypeVar

import pydantic

_SettingsT = TypeVar("_SettingsT", bound="Settings")


class Settings(pydantic.BaseModel):
    """A frozen, validated value that travels as one JSON string.

    TFX carries execution properties as strings, so a component's configuration
    is one JSON property, written by `to_json` and read by `from_json`. Unknown
    keys are refused: a misspelt limit must never be a silent default.
    """

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        # JSON has no NaN; as `null` it could not be read back.
        ser_json_inf_nan="strings",
    )

    def to_json(self) -> str:
        """Returns the settings as JSON, the same text for equal settings."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls: type[_SettingsT], text: str) -> _SettingsT:
        """Reads what `to_json` wrote.

        Raises:
          pydantic.ValidationError: If a key is unknown or a value out of range.
        """
        return cls.model_validate_json(text)
