# SPDX-License-Identifier: Apache-2.0
"""Writes the JSON Schemas of everything that is read or written as a file.

Run `python -m pipeline.schemas` after a change; a test keeps them fresh.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import FloatSchema

from components.findings import Verdict
from components.records.blessing import Blessing
from components.records.evaluation import EvaluationRecord
from components.records.passport import Passport
from components.records.training import TrainingRecord
from components.settings import Settings
from pipeline.config import GuardConfig

JsonSchema = dict[str, Any]

FOLDER = Path(__file__).parent.parent / "schemas"

_TYPES: dict[str, type[Settings]] = {
    "guard": GuardConfig,
    "verdict": Verdict,
    "blessing": Blessing,
    "passport": Passport,
    "training_record": TrainingRecord,
    "evaluation_record": EvaluationRecord,
}
_WRITTEN = frozenset(_TYPES) - {"guard"}
"""What programs write and others read; people write `guard.yaml`."""


class _WithNotFinite(GenerateJsonSchema):
    """Says of numbers what `Settings` writes where JSON has no number.

    A loss that became NaN is what a record of a failed training is about.
    """

    def float_schema(self, schema: FloatSchema) -> JsonSchema:
        number = super().float_schema(schema)
        if schema.get("allow_inf_nan") is False or len(number) > 1:
            return number  # NaN and infinity are not within bounds.
        return {"anyOf": [number, {"enum": ["NaN", "Infinity", "-Infinity"]}]}


def render() -> dict[str, str]:
    """Returns the text of each schema by the name of its file."""
    return {
        f"{name}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **settings.model_json_schema(
                    schema_generator=(
                        _WithNotFinite if name in _WRITTEN else GenerateJsonSchema
                    )
                ),
            },
            indent=2,
        )
        + "\n"
        for name, settings in _TYPES.items()
    }


def main() -> None:
    """Writes all schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
