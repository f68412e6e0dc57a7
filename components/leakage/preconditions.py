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
    require_split(config.reference_split, list(summary.contents.splits))
    _require_readable(summary, config)
    total = summary.contents.num_examples
    oddities = summary.oddities.values()
    for role, name in _named_features(label_key, config):
        missing = sum(odd.missing.get(name, 0) for odd in oddities)
        if total and missing == total:
            raise _absent_feature(role, name, summary.feature_names, "examples")
    if total and total == sum(odd.without_content for odd in oddities):
        raise InputError(
            f"ignore: examples must have features beside the label {label_key!r} and "
            f"the ignored {_names(config.no_content)}, but none of {total} has one, so "
            "there is nothing to compare; name fewer features in `ignore`"
        )
    _require_classes(summary, label_key)
    _require_one_kind_of_time(summary, config)


def _require_readable(summary: Summary, config: LeakageConfig) -> None:
    for split, odd in summary.oddities.items():
        total = odd.unreadable + summary.contents.splits[split].examples
        if odd.unreadable > config.max_unreadable_share * total:
            first = "; ".join(map(str, odd.unreadable_places[:3]))
            raise InputError(
                f"split {split!r}: every record must be a serialized tf.train.Example "
                "whose image can be decoded, but "
                f"{odd.unreadable} of {total} records are not (first: {first}); make "
                "the examples again without them, or raise `max_unreadable_share`"
            )


def _require_classes(summary: Summary, label_key: str) -> None:
    total = summary.contents.num_examples
    floats = sum(odd.float_labels for odd in summary.oddities.values())
    if floats:
        raise InputError(
            f"label_key {label_key!r}: labels must be integers or texts, but "
            f"{floats} of {total} examples carry a float; a classifier's labels are "
            "classes: write them as integers (regression is not supported)"
        )
    for split, odd in summary.oddities.items():
        if odd.odd_labels:
            raise InputError(
                f"label_key {label_key!r}: labels must be integers or UTF-8 texts, but "
                f"{odd.odd_labels} examples of split {split!r} carry other bytes "
                f"(first: {odd.odd_label_places[0]}); encode the labels as UTF-8"
            )


def _require_one_kind_of_time(summary: Summary, config: LeakageConfig) -> None:
    if config.time is None:
        return
    kinds: dict[str, int] = {}
    for odd in summary.oddities.values():
        for kind, count in odd.time_kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    if len(kinds) > 1:
        came = ", ".join(f"{count} of kind {kind}" for kind, count in kinds.items())
        raise InputError(
            f"time: the values of {config.time!r} must be all integers, all floats or "
            f"all ISO 8601 texts, but there are {came}; store them as one kind"
        )
    total = summary.contents.num_examples
    if total and not kinds:
        places = [odd.odd_time_places for odd in summary.oddities.values()]
        first = next((str(some[0]) for some in places if some), "none was named")
        raise InputError(
            f"time: the values of {config.time!r} must be numbers or ISO 8601 texts, "
            f"but not one can be read (first: {first}); write them like "
            "2026-01-31T23:59:59Z"
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
    """Refuses a named feature that the schema does not have.

    Raises:
      InputError: If a name is not among `names`, the features of the schema.
    """
    for role, name in _named_features(label_key, config):
        if name not in names:
            raise _absent_feature(role, name, names, "schema")


def _named_features(label_key: str, config: LeakageConfig) -> list[tuple[str, str]]:
    """Returns the features that the user names, each with the setting it is in."""
    roles = (("image", config.image), ("group", config.group), ("time", config.time))
    return [
        ("label_key", label_key),
        *(("ignore", name) for name in config.ignore),
        *((role, name) for role, name in roles if name),
    ]


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
