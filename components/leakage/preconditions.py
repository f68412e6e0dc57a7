# SPDX-License-Identifier: Apache-2.0
"""Refuses data and names that make every judgement void."""

from collections.abc import Sequence
from difflib import get_close_matches

from components.errors import InputError
from components.leakage.config import LeakageConfig
from components.leakage.summary import Summary

_LISTED = 20  # Names in an error message.


def require_usable(summary: Summary, label_key: str, config: LeakageConfig) -> None:
    """Refuses data and names that make every judgement void.

    Raises:
      InputError: See `judge`.
    """
    require_split(config.reference_split, list(summary.splits))
    for split, counts in summary.splits.items():
        if counts.unreadable:
            raise InputError(
                f"split {split!r}: every record must be a serialized "
                f"tf.train.Example, but {counts.unreadable} of "
                f"{counts.unreadable + counts.examples} records are not; make the "
                "examples again with an ExampleGen that writes tf.train.Example"
            )
    total = summary.num_examples
    for role, name in _named_features(label_key, config):
        missing = sum(c.missing.get(name, 0) for c in summary.splits.values())
        if total and missing == total:
            raise _absent_feature(role, name, summary.feature_names, "examples")
    if total and total == sum(c.without_content for c in summary.splits.values()):
        raise InputError(
            f"ignore: examples must have features beside the label {label_key!r} and "
            f"the ignored {_names(config.ignore)}, but none of {total} has one, so "
            "there is nothing to compare; name fewer features in `ignore`"
        )
    floats = sum(counts.float_labels for counts in summary.splits.values())
    if floats:
        raise InputError(
            f"label_key {label_key!r}: labels must be integers or texts, but "
            f"{floats} of {total} examples carry a float; a classifier's labels are "
            "classes: write them as integers (regression is not supported)"
        )


def require_split(reference: str, splits: Sequence[str]) -> None:
    """Refuses data without the reference split.

    Raises:
      InputError: If the reference split is not among the splits.
    """
    if reference not in splits:
        raise InputError(
            f"reference_split: {reference!r} must be a split of the examples, which "
            f"have {_names(splits)}; set `reference_split` to the split that the "
            "model is trained on"
        )


def require_features(
    names: Sequence[str], label_key: str, config: LeakageConfig
) -> None:
    """Refuses a label or an ignored feature that the schema does not have.

    Raises:
      InputError: If a name is not among `names`, the features of the schema.
    """
    for role, name in _named_features(label_key, config):
        if name not in names:
            raise _absent_feature(role, name, names, "schema")


def _named_features(label_key: str, config: LeakageConfig) -> list[tuple[str, str]]:
    """Returns the features that the user names, each with the setting it is in."""
    return [("label_key", label_key), *(("ignore", name) for name in config.ignore)]


def _absent_feature(
    role: str, name: str, names: Sequence[str], where: str
) -> InputError:
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    way_out = f"did you mean {near[0]!r}?" if near else f"set `{role}` to one of these"
    return InputError(
        f"{role}: {name!r} must be a feature of the {where}, but it is none; there are "
        f"{_names(names)}; {way_out}"
    )


def _names(names: Sequence[str]) -> str:
    """Returns the names for a message, at most 20."""
    if not names:
        return "none"
    rest = len(names) - _LISTED
    shown = ", ".join(map(repr, names[:_LISTED]))
    return f"{shown} and {rest} more" if rest > 0 else shown
