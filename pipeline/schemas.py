# SPDX-License-Identifier: Apache-2.0
"""Writes the JSON Schemas of everything that is read or written as a file.

Run `python -m pipeline.schemas` after a change; a test keeps them fresh.
"""

import json
from pathlib import Path

from components.findings import Verdict
from components.records.blessing import Blessing
from components.records.evaluation import EvaluationRecord
from components.records.passport import Passport
from components.records.training import TrainingRecord
from components.settings import Settings
from pipeline.config import GuardConfig

FOLDER = Path(__file__).parent.parent / "schemas"

_TYPES: dict[str, type[Settings]] = {
    "guard": GuardConfig,
    "verdict": Verdict,
    "blessing": Blessing,
    "passport": Passport,
    "training_record": TrainingRecord,
    "evaluation_record": EvaluationRecord,
}


def render() -> dict[str, str]:
    """Returns the text of each schema by the name of its file."""
    return {
        f"{name}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **settings.model_json_schema(),
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
