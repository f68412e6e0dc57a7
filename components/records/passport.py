# SPDX-License-Identifier: Apache-2.0
"""What the pusher leaves behind: beside the model, and under its own artifact."""

from typing import Literal

import pydantic

from components.findings import Verdict
from components.settings import Settings

PASSPORT_FILE = "guard.json"
"""Name of the passport in the folder of a pushed model."""
PUSH_FILE = "push.json"
"""Name of the record under the `pushed_model` artifact."""


class Passport(Settings):
    """Says which model lies in a version folder, and why it may be there."""

    format_version: Literal[1] = 1
    model_sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    """Digest of the blessed model's files, as `components.digest` computes it;
    the passport itself does not count."""
    version: int = 0
    """Version under which the model was pushed; `publish` fills it in."""
    verdict: Verdict
    """The verdict of the blessing: it passed, perhaps with warnings."""
    blessed_at: str
    """Time of the decision to bless, UTC, ISO 8601."""
    pushed_at: str = ""
    """Time of the push, UTC, ISO 8601; `publish` fills it in."""
    withdrawn_at: str = ""
    """Time at which the model was rolled back, UTC, ISO 8601; empty if it was not."""
    restored_from: int | None = None
    """Version that a rollback has published again as this one; None for a push."""
    class_names: tuple[str, ...] = ()
    """Output k of the model is the probability of `class_names[k]`; empty where
    the pusher was not told."""
    data: dict[str, str] = {}
    """Fingerprints of the data that the model was trained and judged on, by
    name; empty where the pusher was not told."""
    versions: dict[str, str] = {}
    """Versions of the libraries that judged."""


class Push(Settings):
    """What became of one push; written whatever became of it."""

    format_version: Literal[1] = 1
    pushed: bool
    """Whether the model stands at the destination."""
    pushed_version: str = ""
    """Name of its version folder; empty where the push was refused."""
    pushed_destination: str = ""
    """Path of its version folder; empty where the push was refused."""
    reason: str = ""
    """Why the push was refused, in one line; empty where it was not."""
    removed_versions: tuple[int, ...] = ()
    """Versions that were removed to make room, oldest first."""

    def __str__(self) -> str:
        """Returns one line for humans."""
        if self.pushed:
            return f"pushed to {self.pushed_destination}"
        return f"not pushed: {self.reason}"
