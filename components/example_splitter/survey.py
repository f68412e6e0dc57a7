# SPDX-License-Identifier: Apache-2.0
"""What the first pass over the examples has found, and what is refused of it."""

import difflib
from collections.abc import Iterable, Mapping

from components.content.times import Kind, time_text
from components.errors import InputError
from components.example_splitter import units
from components.example_splitter.config import By, SplitConfig
from components.example_splitter.plan import (
    ClassSplit,
    Plan,
    TimePlan,
    UnitPlan,
    newest_for_train,
)
from components.settings import Settings

MAX_CLASSES = 100_000
"""Different labels beyond which a label is no class; ImageNet has 21,841."""


class Trouble(Settings):
    """Records that something is wrong with, of one kind."""

    kind: str
    """What is wrong."""
    count: int
    """How many records."""
    first: tuple[tuple[str, int, str], ...]
    """File, position and detail of the first few."""

    @property
    def place(self) -> str:
        """The first record, for a message."""
        file, position, _ = self.first[0]
        return f"{file}, record {position}"

    @property
    def detail(self) -> str:
        """What there is instead in the first record."""
        return self.first[0][2]


class Survey(Settings):
    """What the first pass has found."""

    labels: dict[str, int]
    """Examples by label, those without a label under the empty text."""
    classes: tuple[ClassSplit, ...] = ()
    """How the units of each class are split; none in a split by time."""
    times: tuple[tuple[Kind, int, int], ...] = ()
    """Kind, place in the order of time, and number of examples; a sample if there
    are many; none in other splits."""
    troubles: tuple[Trouble, ...] = ()
    """What is wrong with some records."""

    @property
    def num_examples(self) -> int:
        """Examples that can be split."""
        return sum(self.labels.values())


def require_good(survey: Survey, label_key: str, config: SplitConfig) -> None:
    """Refuses examples that cannot be split, or not by what is configured.

    Raises:
      InputError: If records cannot be read, or lack the group or the time, or none
        has a label, or labels are no classes.
    """
    troubles = {trouble.kind: trouble for trouble in survey.troubles}
    if trouble := troubles.get(units.UNREADABLE):
        raise InputError(
            f"{trouble.place}: expected a tf.train.Example, but it is {trouble.detail} "
            f"({trouble.count} such records); make the examples again"
        )
    for kind, name in ((units.NO_GROUP, config.group), (units.NO_TIME, config.time)):
        if trouble := troubles.get(kind):
            raise InputError(
                f"{trouble.place}: expected a value of {name!r}, which the examples "
                f"are split by, but there are only {trouble.detail or 'no features'} "
                f"({trouble.count} such records){_did_you_mean(name, trouble.detail)}; "
                "give each example one, or name another feature"
            )
    if trouble := troubles.get(units.ODD_TIME):
        raise InputError(
            f"{trouble.place}: expected one number or one ISO 8601 text in "
            f"{config.time!r}, but it is {trouble.detail} ({trouble.count} such "
            "records); mend the times, or split by content"
        )
    if trouble := troubles.get(units.FLOAT_LABEL):
        raise InputError(
            f"{trouble.place}: expected a class in {label_key!r}, an integer or a "
            f"text, but it is the float {trouble.detail} ({trouble.count} such "
            "records); store classes as integers, regression is not supported"
        )
    if trouble := troubles.get(units.ODD_LABEL):
        raise InputError(
            f"{trouble.place}: expected UTF-8 text in {label_key!r}, but it is "
            f"{trouble.detail} ({trouble.count} such records); encode the labels as "
            "UTF-8"
        )
    if not survey.num_examples:
        raise InputError(
            "the examples to split: expected two or more, but there are none; give "
            "the splitter examples"
        )
    if set(survey.labels) == {""}:
        trouble = troubles[units.NO_LABEL]
        raise InputError(
            f"{trouble.place}: expected the label {label_key!r}, but it is in no "
            f"example; there are {trouble.detail or 'no features'}"
            f"{_did_you_mean(label_key, trouble.detail)}; name the label in `label_key`"
        )
    if len(survey.labels) > MAX_CLASSES:
        raise InputError(
            f"label {label_key!r}: expected classes, but it has {len(survey.labels)} "
            f"different values, more than {MAX_CLASSES}; name the label's column"
        )


def make_plan(survey: Survey, config: SplitConfig) -> Plan:
    """Returns what goes where.

    Raises:
      InputError: If both splits cannot have an example, as with a single group.
    """
    if config.by is By.TIME:
        return _plan_by_time(survey, config)
    if sum(each.num_eval for each in survey.classes):
        return UnitPlan.of(survey.classes, config.eval_share, config.salt)
    num_units = sum(each.num_units for each in survey.classes)
    if config.by is By.GROUP:
        what, way = f"groups in {config.group!r}", "split by content"
    else:
        what = "different contents"
        way = "name the features that are content, or add examples"
    raise InputError(
        f"split by {config.by.value}: expected two or more {what} of some class, so "
        f"that it can be in both splits, but the {survey.num_examples} examples have "
        f"{num_units} in all, of {len(survey.classes)} classes; {way}"
    )


def _plan_by_time(survey: Survey, config: SplitConfig) -> TimePlan:
    kinds = sorted({kind for kind, _, _ in survey.times})
    if len(kinds) > 1:
        raise InputError(
            f"time {config.time!r}: expected times of one kind, but there are "
            f"{' and '.join(kinds)}; store all times alike"
        )
    counts: dict[int, int] = {}
    for _, time, count in survey.times:
        counts[time] = counts.get(time, 0) + count
    newest = newest_for_train(tuple(counts.items()), config.eval_share)
    if newest is None:
        only = time_text(*survey.times[0][1::-1]) if survey.times else "none"
        raise InputError(
            f"time {config.time!r}: expected two or more different times, but the "
            f"{survey.num_examples} examples have one, {only}; name another feature, "
            "or split by content"
        )
    return TimePlan(newest)


def classes_without_eval(classes: Iterable[ClassSplit]) -> tuple[str, ...]:
    """Returns the labels that evaluation cannot have, for lack of a second unit."""
    return tuple(sorted(each.label for each in classes if not each.num_eval))


def rarest(labels: Iterable[str], counts: Mapping[str, int]) -> str:
    """Returns the label with the fewest examples, which stands for a unit of many."""
    return min(labels, key=lambda label: (counts[label], label))


def _did_you_mean(name: str | None, names: str) -> str:
    near = difflib.get_close_matches(name or "", names.split(", "), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
