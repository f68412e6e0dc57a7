# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.findings import Verdict, find
from components.guarded_pusher import decision
from components.records.blessing import Blessing
from components.records.passport import Push

_DIGEST, _OTHER_DIGEST = "a" * 64, "b" * 64
_WARNING = find("low_variance", "2 of 3 features hardly differ")
_BLOCK = find("collapse", "class 1 gets 99 of 100 examples")


def blessing(**changes):
    return Blessing(
        **{
            "blessed": True,
            "model_sha256": _DIGEST,
            "verdict": Verdict.of([_WARNING]),
            "decided_at": "2026-11-22T10:00:00+00:00",
            **changes,
        }
    )


def decide(text, **details):
    agreeing = {
        "marked_as_blessed": True,
        "marked_sha256": _DIGEST,
        "model_sha256": _DIGEST,
    }
    return decision.decide(text, **{**agreeing, **details})


def test_what_was_blessed_is_pushed_even_with_warnings():
    assert decide(blessing().to_json()) == decision.Decision(blessing())


@pytest.mark.parametrize(
    ("text", "details", "reason"),
    [
        pytest.param("", {}, "cannot be read", id="empty"),
        pytest.param('{"blessed": true', {}, "cannot be read", id="half-written"),
        pytest.param("null", {}, "cannot be read", id="null"),
        pytest.param('{"blessed": true}', {}, "cannot be read", id="fields-missing"),
        pytest.param(
            json.dumps({**json.loads(blessing().to_json()), "more": 1}),
            {},
            "cannot be read",
            id="unknown-field",
        ),
        pytest.param(
            blessing(format_version=2).to_json(), {}, "format 2", id="later-format"
        ),
        pytest.param(
            blessing(blessed=False, verdict=Verdict.of([_BLOCK])).to_json(),
            {},
            "not blessed: blocked: collapse (class 1 gets 99 of 100 examples)",
            id="blocked",
        ),
        pytest.param(
            blessing(blessed=False).to_json(), {}, "not blessed", id="not-blessed"
        ),
        pytest.param(
            blessing(verdict=Verdict.of([_BLOCK])).to_json(),
            {},
            "contradicts itself: blessed, but blocked: collapse",
            id="blessed-although-it-blocks",
        ),
        pytest.param(
            blessing().to_json(),
            {"marked_as_blessed": False},
            "`blessed` is not 1",
            id="mark-absent",
        ),
        pytest.param(
            blessing().to_json(),
            {"model_sha256": _OTHER_DIGEST},
            f"expected SHA-256 {_DIGEST}, but its files have {_OTHER_DIGEST}",
            id="another-model",
        ),
        pytest.param(
            blessing(model_sha256=_OTHER_DIGEST).to_json(),
            {"model_sha256": _OTHER_DIGEST},
            f"not as it was written: expected SHA-256 {_DIGEST}",
            id="digest-edited-to-that-of-another-model",
        ),
        pytest.param(
            blessing().to_json(),
            {"marked_sha256": ""},
            "not as it was written: expected SHA-256 (none)",
            id="digest-mark-absent",
        ),
        pytest.param(
            blessing(model_sha256="").to_json(),
            {},
            "it names (none)",
            id="digest-absent",
        ),
        pytest.param(
            blessing(model_sha256="").to_json(),
            {"marked_sha256": ""},
            "expected SHA-256 (none)",
            id="both-digests-absent",
        ),
        pytest.param(
            blessing(model_sha256="").to_json(),
            {"marked_sha256": "", "model_sha256": ""},
            "expected SHA-256 (none)",
            id="no-digest-is-not-the-same-digest",
        ),
    ],
)
def test_anything_else_is_refused_with_a_reason(text, details, reason):
    decided = decide(text, **details)
    assert decided.blessing is None
    assert reason in decided.reason
    assert "\n" not in decided.reason


@given(st.text())
def test_no_text_makes_it_raise(text):
    assert decide(text).blessing is None


@given(st.text(st.characters()))
def test_a_reason_is_one_line_that_can_be_written(text):
    reason = decision.refuse(text).reason
    assert len(reason.splitlines()) <= 1
    assert Push.from_json(Push(pushed=False, reason=reason).to_json()).reason == reason
