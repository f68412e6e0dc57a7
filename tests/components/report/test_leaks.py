# SPDX-License-Identifier: Apache-2.0
import base64

import numpy as np
import pytest

from components import findings
from components.findings import Verdict
from components.report.inputs import DataFindings, ReportInputs
from components.report.leaks import leaks_section, make_leak

NAME = "pictures/0000000000000001.png"


def inputs_of(finding, pictures=None, **changes):
    verdict = Verdict.of([finding])
    data = {"leakage_findings": DataFindings(verdict, pictures or {})}
    return ReportInputs(verdict=verdict, **{"data": data, **changes})


def shown(finding, pictures=None, **changes):
    return make_leak(inputs_of(finding, pictures, **changes), 1, finding, "leak-1")


@pytest.mark.parametrize(
    ("height", "width", "size", "enlarged"),
    [
        (8, 8, (96, 96), True),
        (28, 28, (84, 84), True),
        (48, 48, (96, 96), True),
        (49, 49, (49, 49), False),
        (96, 96, (96, 96), False),
        (96, 1, (1, 96), False),
        (200, 100, (48, 96), False),
        (1, 1, (96, 96), True),
    ],
)
def test_small_pictures_are_enlarged_by_a_whole_factor(
    leak, group, picture, height, width, size, enlarged
):
    pixels = np.zeros((height, width), np.uint8)
    of_both = shown(leak([group(1)]), {NAME: picture(pixels)})
    (thumbnail,) = of_both.groups[0].sides[0].thumbnails
    assert ((thumbnail.width, thumbnail.height), thumbnail.enlarged) == (size, enlarged)


def test_the_picture_itself_is_embedded(leak, group, picture):
    made = picture(np.arange(64, dtype=np.uint8).reshape(8, 8))
    block = shown(leak([group(1)]), {NAME: made})
    (thumbnail,) = block.groups[0].sides[1].thumbnails
    head, _, encoded = thumbnail.source.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(encoded) == made.png
    assert block.has_pictures


def test_the_reference_split_is_on_the_left(leak, group):
    (only,) = shown(leak([group(1, examples={"eval": 4, "train": 1})])).groups
    assert [(side.split, side.examples) for side in only.sides] == [
        ("train", "1 example"),
        ("eval", "4 examples"),
    ]
    assert only.title == "Group 1 · 5 examples"
    assert only.sides[0].labels == (("1", "2"),)


def test_rows_need_no_pictures(leak, group):
    block = shown(leak([group(1, pictures={})]))
    assert not block.has_pictures
    assert block.groups[0].sides[0].rows == ("path=b'1.png'",)


def test_pictures_that_are_not_wired_are_said_once(leak, group):
    block = shown(leak([group(1), group(2)]), data={})
    assert not block.has_pictures
    assert block.groups_note.endswith("Their pictures are not wired to this report.")


@pytest.mark.parametrize(
    ("cause", "labels", "differ"),
    [
        ("duplicate_leakage", {"train": {"a": 2}, "eval": {"a": 1}}, False),
        ("duplicate_leakage", {"train": {"a": 2}, "eval": {"b": 1}}, True),
        ("conflicting_labels", {"train": {"a": 1, "b": 1}}, True),
        ("group_leakage", {"train": {"a": 2}, "eval": {"b": 1}}, False),
        ("near_duplicate_leakage", {}, False),
    ],
)
def test_labels_that_differ_are_marked_where_the_content_is_the_same(
    leak, group, cause, labels, differ
):
    (only,) = shown(leak([group(1, labels=labels)], cause)).groups
    assert only.labels_differ is differ


@pytest.mark.parametrize(
    ("evidence", "note"),
    [
        ({"num_groups": 40}, "2 of 40 groups of examples."),
        ({"num_groups": 2}, "2 groups of examples."),
        ({}, "2 groups of examples."),
        ({"num_groups": "many"}, "2 groups of examples."),
    ],
    ids=["more", "all", "absent", "garbled"],
)
def test_how_many_groups_there_are_is_said(leak, group, evidence, note):
    groups = [group(1), group(2)]
    assert shown(leak([], evidence={**evidence, "groups": groups})).groups_note == note


def test_long_lists_within_a_group_are_bounded(leak, group):
    long = group(
        1,
        labels={"train": {str(k): 1 for k in range(10)}},
        rows={"train": ["x" * 1000] * 9},
        examples=dict.fromkeys(("train", "a", "b", "c", "eval"), 1),
    )
    (only,) = shown(leak([long])).groups
    assert [side.split for side in only.sides] == ["train", "a", "b", "eval"]
    assert only.notes == ("1 split not shown",)
    assert (len(only.sides[0].labels), only.sides[0].labels_left_out) == (8, 2)
    assert [len(row) for row in only.sides[0].rows] == [300] * 5


def test_a_nan_in_the_evidence_does_not_part_a_finding_from_its_pictures(
    leak, group, picture
):
    def make():
        return leak([group(1, similarity=float("nan"))])

    pictures = {NAME: picture(np.zeros((8, 8), np.uint8))}
    block = make_leak(inputs_of(make(), pictures), 1, make(), "leak-1")
    assert block.has_pictures
    assert block.groups[0].notes == ("similarity not a number",)


@pytest.mark.parametrize(
    ("causes", "title"),
    [
        (["duplicate_leakage", "group_leakage"], "Leaked examples"),
        (["conflicting_labels"], "Conflicting examples"),
        (
            ["near_duplicate_leakage", "conflicting_labels"],
            "Leaked and conflicting examples",
        ),
    ],
)
def test_the_title_says_what_the_examples_are(leak, group, causes, title):
    leaks = [shown(leak([group(1)], cause)) for cause in causes]
    assert leaks_section(ReportInputs(verdict=Verdict()), leaks).title == title


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {}}, "Not measured: no findings of a leakage validator are wired"),
        (
            {"data": {}, "unreadable": {"leakage_findings": "ValueError: no JSON"}},
            "Could not be read: ValueError: no JSON",
        ),
        ({}, "Not measured: a check of the leakage validator could not run."),
    ],
    ids=["not-wired", "unreadable", "failed"],
)
def test_why_there_are_no_groups_is_said(changes, why):
    failed = findings.failed_check("leakage", ValueError())
    assert leaks_section(inputs_of(failed, **changes), []).absent.startswith(why)


def test_no_leaks_are_good_news():
    inputs = ReportInputs(
        verdict=Verdict(), data={"leakage_findings": DataFindings(Verdict())}
    )
    assert "reported no groups" in leaks_section(inputs, []).absent
