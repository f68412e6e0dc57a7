# SPDX-License-Identifier: Apache-2.0
import pytest

from components import findings
from components.findings import Subject, Verdict
from components.report.leaked_groups import (
    MAX_GROUPS,
    MAX_PICTURES,
    Group,
    groups_of,
    picture_names,
)


def test_groups_are_read_in_their_order(leak, group):
    groups = groups_of(leak([group(3, similarity=0.5), group(1)]))
    assert [each.similarity for each in groups] == [0.5, None]
    assert groups[1].rows["eval"] == ("path=b'1.bmp'",)


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"groups": []},
        {"groups": {"a": 1}},
        {"groups": [17]},
        {"groups": [{"examples": {"train": -1}}]},
        {"groups": [{"examples": {"train": 0}}]},
        {"groups": [{"records": {"eval": ["ab12"]}}]},
    ],
    ids=["absent", "empty", "object", "number", "negative", "nobody", "unknown"],
)
def test_evidence_of_another_form_has_no_groups(leak, evidence):
    assert groups_of(leak([], evidence=evidence)) == ()


def test_findings_of_other_causes_have_no_groups(group):
    finding = findings.find("label_leakage", "x", evidence={"groups": [group(1)]})
    assert groups_of(finding) == ()


@pytest.mark.parametrize(
    ("count", "shown"),
    [(MAX_GROUPS, MAX_GROUPS), (MAX_GROUPS + 1, MAX_GROUPS)],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_groups_are_bounded(leak, group, count, shown):
    assert len(groups_of(leak([group(k) for k in range(count)]))) == shown


@pytest.mark.parametrize(
    ("examples", "judged", "splits"),
    [
        ({"eval": 1, "train": 2}, "eval", ("train", "eval")),
        ({"test": 1, "eval": 1, "train": 2}, "test", ("train", "eval", "test")),
        ({"a": 1, "b": 1}, "a", ("b", "a")),
        ({"eval": 3, "train": 0}, "eval", ("eval",)),
        ({"eval": 1, "train": 2}, None, ("train", "eval")),
        (dict.fromkeys("abcdef", 1), "a", ("b", "c", "d", "a")),
    ],
    ids=["two", "three", "no-train", "within-one", "about-all", "too-many"],
)
def test_the_reference_split_comes_first_and_the_judged_one_last(
    examples, judged, splits
):
    assert Group(examples=examples).splits(judged) == splits


def test_a_group_that_nobody_counted_has_the_splits_of_its_rows():
    group = Group(rows={"eval": ("row 1",)}, pictures={"eval": ("pictures/1.png",)})
    assert group.splits("eval") == ("eval",)


def test_only_pictures_that_are_shown_are_named_and_counted(leak, group):
    many = [f"pictures/{k}.png" for k in range(MAX_PICTURES + 1)]
    one = leak([group(1, pictures={"train": many, "eval": many[:1], "lost": ["x"]})])
    other = leak([group(2)], "near_duplicate_leakage", subject=Subject(split="eval"))
    names = picture_names(Verdict.of([one, other]))
    assert names == {
        many[0]: 2,
        many[1]: 1,
        many[2]: 1,
        "pictures/0000000000000002.png": 2,
    }


def test_without_groups_no_picture_is_named():
    assert picture_names(Verdict()) == {}
