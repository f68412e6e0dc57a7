# SPDX-License-Identifier: Apache-2.0
"""Writes the table of faults down for people: docs/faults.md.

python tests/end_to_end/faults/fault_page.py > docs/faults.md
"""

import re
from pathlib import Path

from destination_faults import AT_ONCE, INTERRUPTED, TAMPERED_VERSIONS
from evaluation_faults import (
    CHECK_FAULTS,
    EXAMPLE_FAULTS,
    INPUT_FAULTS,
    MEASUREMENT_FAULTS,
    MODEL_FAULTS,
    SLICE_FAULTS,
)
from fault_rows import Fault
from push_faults import (
    DESTINATION_FAULTS,
    SURVIVED_FAULTS,
    TAMPERED_BLESSINGS,
    TAMPERED_MODELS,
)

PAGE = Path(__file__).parents[3] / "docs" / "faults.md"

_BEFORE = "test_a_fault_before_the_verdict_ends_without_blessing"
_TOLD = "test_what_could_not_be_judged_is_told"
_AFTER = "test_a_fault_after_the_verdict_ends_without_a_push"
_ERROR = "test_a_push_that_cannot_be_done_is_a_clear_error"
_HARMLESS = "test_what_does_no_harm_does_not_stop_a_push"
_CHANGED = "test_a_version_that_was_changed_is_told_and_can_be_rolled_back"
_WHOLE = "test_every_version_is_whole_whatever_happens"

_NOT_BLESSED = "The blessing says 0 and gives the reason; nothing is pushed."
_NOT_PUSHED = (
    "The model is refused; the reason stands in `push.json` and in the property "
    "`reason`. The version before is served on."
)
_SECTIONS = (
    ("A check raises", _NOT_BLESSED, _BEFORE, CHECK_FAULTS),
    ("What the evaluator is given", _NOT_BLESSED, _BEFORE, INPUT_FAULTS),
    ("The model", _NOT_BLESSED, _BEFORE, MODEL_FAULTS),
    ("The examples", _NOT_BLESSED, _BEFORE, EXAMPLE_FAULTS),
    ("Slices", "What could not be judged is told.", _TOLD, SLICE_FAULTS),
    ("The measurement", _NOT_BLESSED, _BEFORE, MEASUREMENT_FAULTS),
    ("The model, after its blessing", _NOT_PUSHED, _AFTER, TAMPERED_MODELS),
    ("The blessing", _NOT_PUSHED, _AFTER, TAMPERED_BLESSINGS),
    (
        "The destination",
        "The step ends with one line that names the cause; the versions there stay.",
        _ERROR,
        DESTINATION_FAULTS,
    ),
    (
        "What a push survives",
        "The model becomes the newest version, and is the baseline of the next run.",
        _HARMLESS,
        SURVIVED_FAULTS,
    ),
    (
        "A version in production",
        "`tfx-guard verify` says so, and `tfx-guard rollback` publishes the model "
        "before.",
        _CHANGED,
        TAMPERED_VERSIONS,
    ),
    (
        "Others at work",
        "A server sees whole, blessed models only.",
        _WHOLE,
        AT_ONCE,
    ),
    (
        "Interrupted",
        "Each call to the system that the operation makes is its last one once. A "
        "server sees whole, blessed models only.",
        _WHOLE,
        INTERRUPTED,
    ),
)

_INTRODUCTION = """# Faults

What goes wrong, and what comes of it. Nothing that was not blessed is ever served, and
the reason can be read. Each row is a test in `tests/end_to_end/faults/test_faults.py`,
which makes the fault for real and runs the evaluator and the pusher; its name stands
in brackets. This page is made from the tables beside it.
"""
_LIMITS = """
## What cannot be told

A digest and a mark are no signatures.

- Whoever can write to the `blessing` artifact **and** to the metadata store can make up
  a blessing: file, findings, both marks. One of the two is not enough.
- Whoever can write to the destination can put model and passport there together, and
  `tfx-guard verify` will believe them. A version without a passport, or with one that
  does not fit, is told.
- A server loads the largest version, also one that a person has put there; it is no
  baseline, and the next push goes on top of it.
- A model that never answers keeps the evaluator waiting for as long as the orchestrator
  lets it; there is no blessing until it has ended, and so no push.
- On a file system without locks, a push and a rollback at the same moment can follow
  one another in the wrong order; each version is whole all the same.
"""


def page() -> str:
    """Returns the page."""
    count = sum(len(faults) for *_, faults in _SECTIONS)
    parts = [f"{_INTRODUCTION}\nThere are {count} rows.\n"]
    for title, outcome, test, faults in _SECTIONS:
        rows = "\n".join(map(_row, faults))
        parts.append(
            f"\n## {title}\n\n{outcome} `{test}`\n\n"
            f"| fault | what is told | test |\n| --- | --- | --- |\n{rows}\n"
        )
    return "".join([*parts, _LIMITS])


def _row(fault: Fault) -> str:
    told = fault.outcome or (f"“{_plain(fault.reason)}”" if fault.reason else "")
    return f"| {fault.name} | {told} | `[{fault.id}]` |"


def _plain(pattern: str) -> str:
    """Turns a regular expression of ours into text; the first of alternatives."""
    text = re.sub(r"\[(.).\]", r"\1", pattern.split("|")[0])
    return text.replace(".*", " … ").replace("\\\\", "\\").replace(" .U", " (U")


if __name__ == "__main__":
    print(page(), end="")
