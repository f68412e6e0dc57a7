# SPDX-License-Identifier: Apache-2.0
"""Writes the table of training rules down for people: docs/training-rules.md.

.venv/bin/python -m components.guarded_trainer.rules.document > docs/training-rules.md
"""

from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.table import RULES, Rule

_INTRODUCTION = """# Training rules

What the GuardedTrainer looks for while a model is trained. This page is made from the
table in `components/guarded_trainer/rules/table.py`; each limit is a field of
`training.rules` in `guard.yaml`, and says there why it is what it is.

A rule that fires is a symptom, no verdict. When training has ended, the outcome is
looked at first: has the model learnt the rows it was fitted to, beyond what guessing
by class shares gives; do held-out rows keep any of it; is inference mode as good as
training mode? Where all is well, a symptom is a remark in the record, at most a
warning. Where it is not, the one symptom that best explains it blocks the model, and
the others warn.

Names are those of Amazon SageMaker Debugger where the rule is the same.
"""


def markdown() -> str:
    """Returns the page."""
    rows = [
        "| rule | points to | fires | looks at | limits | source |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_row, RULES),
    ]
    return "\n".join([_INTRODUCTION, *rows, ""])


def _row(rule: Rule) -> str:
    causes = ", ".join(f"`{cause}`" for cause in rule.causes)
    limits = "<br>".join(f"`{name}` = {default(name):g}" for name in rule.limits)
    cells = (
        f"`{rule.name}`",
        causes,
        rule.sentence.rstrip("."),
        rule.looks_at,
        limits or "-",
        rule.source,
    )
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def default(name: str) -> float:
    """Returns the default of a limit that is given as `group.field`."""
    group, field = name.split(".")
    return float(getattr(getattr(RuleLimits(), group), field))


if __name__ == "__main__":
    print(markdown(), end="")
