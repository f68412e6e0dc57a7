# SPDX-License-Identifier: Apache-2.0
from components.findings import Subject, find
from components.judging.judgement import Judgement

BLOCKS = find("collapse", "It answers one class.", subject=Subject(split="eval"))
WARNS = find("class_imbalance", "The classes are uneven.")


def test_an_empty_one_passes():
    assert Judgement().passed
    assert Judgement().table() == "PASSED"


def test_the_table_shows_each_finding_and_what_was_left_out():
    judgement = Judgement(findings=(WARNS, BLOCKS), not_run=("data guards: off.",))
    lines = judgement.table().splitlines()
    assert lines[0] == "BLOCKED"
    assert lines[2] == "block: collapse (split eval)"
    assert lines[3].strip() == "It answers one class."
    assert "warn: class_imbalance (everything)" in lines
    assert lines[-1] == "  data guards: off."
    assert str(judgement).startswith("blocked: collapse")


def test_it_travels_as_json():
    judgement = Judgement(findings=(BLOCKS,), not_run=("x.",))
    assert Judgement.from_json(judgement.to_json()) == judgement
