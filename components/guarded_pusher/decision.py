# SPDX-License-Identifier: Apache-2.0
"""Whether a model may be pushed; knows neither TFX nor files."""

import dataclasses

from components.records.blessing import BLESSING_FILE, Blessing

_FORMAT_VERSION = 1
"""The format of the blessings that this version understands."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """Either the blessing to push with, or the reason not to push.

    Attributes:
      blessing: The blessing of the model; None where the push is refused.
      reason: Why the push is refused, in one line; empty where it is not.
    """

    blessing: Blessing | None
    reason: str = ""


def refuse(reason: str) -> Decision:
    """Makes the decision not to push; the reason is brought into one line of text."""
    # File names may hold bytes that are no text, and that JSON cannot carry.
    text = reason.encode(errors="backslashreplace").decode()
    return Decision(None, " ".join(text.split()))


def decide(
    blessing_json: str,
    *,
    marked_as_blessed: bool,
    marked_sha256: str,
    model_sha256: str,
) -> Decision:
    """Decides whether a model may be pushed.

    It may only if everything agrees: the record, the verdict in it, the mark on
    the artifact (which `tfx.dsl.Cond` and TFX's own Pusher obey), and the digest in
    record, mark and model. The marks are kept in the metadata store, so that the
    record alone, a file, cannot be edited unseen.

    Args:
      blessing_json: Contents of `blessing.json`.
      marked_as_blessed: Whether the artifact's custom property `blessed` is 1.
      marked_sha256: The artifact's custom property `model_sha256`; empty if it has
        none.
      model_sha256: Digest of the files that are about to be pushed.

    Returns:
      The blessing, or a reason to refuse; never raises for what it reads.
    """
    try:
        blessing = Blessing.from_json(blessing_json)
    except ValueError as error:  # Of which pydantic's ValidationError is one.
        return refuse(f"{BLESSING_FILE} cannot be read: {str(error)[:300]}")
    if blessing.format_version != _FORMAT_VERSION:
        return refuse(
            f"{BLESSING_FILE} has format {blessing.format_version}, but only format "
            f"{_FORMAT_VERSION} is understood"
        )
    if not blessing.blessed:
        return refuse(f"the model was not blessed: {blessing.verdict}")
    if not blessing.verdict.passed:
        return refuse(
            f"{BLESSING_FILE} contradicts itself: blessed, but {blessing.verdict}"
        )
    if not marked_as_blessed:
        return refuse(
            f"{BLESSING_FILE} says blessed, but the artifact's custom property "
            "`blessed` is not 1"
        )
    if blessing.model_sha256 != marked_sha256:
        return refuse(
            f"{BLESSING_FILE} is not as it was written: expected SHA-256 "
            f"{marked_sha256 or '(none)'}, the artifact's custom property "
            f"`model_sha256`, but it names {blessing.model_sha256 or '(none)'}"
        )
    if not blessing.model_sha256 or blessing.model_sha256 != model_sha256:
        return refuse(
            "the model is not the one that was blessed: expected SHA-256 "
            f"{blessing.model_sha256 or '(none)'}, but its files have {model_sha256}"
        )
    return Decision(blessing)
