# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.findings import Verdict, find
from components.records.passport import Passport, Push

_DIGEST = "0123456789abcdef" * 4


def test_a_passport_survives_its_round_trip():
    passport = Passport(
        model_sha256=_DIGEST,
        version=17,
        verdict=Verdict.of([find("low_variance", "2 of 3 features hardly differ")]),
        blessed_at="2026-11-22T10:00:00+00:00",
        pushed_at="2026-11-22T10:00:01+00:00",
        class_names=("cat", "dog"),
        data={"examples/0": "split:train,num_files:1"},
        versions={"tensorflow": "2.16.2"},
    )
    assert Passport.from_json(passport.to_json()) == passport


@pytest.mark.parametrize("digest", ["", "x" * 64, _DIGEST[1:], _DIGEST.upper()])
def test_a_passport_names_a_whole_digest(digest):
    with pytest.raises(pydantic.ValidationError, match="model_sha256"):
        Passport(model_sha256=digest, verdict=Verdict(), blessed_at="")


@pytest.mark.parametrize(
    ("push", "line"),
    [
        (
            Push(pushed=True, pushed_version="17", pushed_destination="/srv/17"),
            "pushed to /srv/17",
        ),
        (Push(pushed=False, reason="no blessing"), "not pushed: no blessing"),
    ],
)
def test_a_push_reads_as_one_line(push, line):
    assert str(push) == line
    assert Push.from_json(push.to_json()) == push
