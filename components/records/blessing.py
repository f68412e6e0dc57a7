# SPDX-License-Identifier: Apache-2.0
"""What the evaluator decides and the pusher obeys."""

from components.findings import Verdict
from components.settings import Settings

BLESSING_FILE = "blessing.json"
"""Name of the record under the `blessing` artifact."""


class Blessing(Settings):
    """The decision on one model; written whatever the decision is."""

    format_version: int = 1
    blessed: bool
    model_sha256: str
    """Digest of the serving model's files, as `components.digest` computes it;
    empty where the model could not even be read, which is never blessed."""
    verdict: Verdict
    """The reasons, the most likely root cause first."""
    decided_at: str
    """Time of the decision, UTC, ISO 8601."""
    versions: dict[str, str] = {}
    """Versions of the libraries that judged."""
