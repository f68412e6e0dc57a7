# SPDX-License-Identifier: Apache-2.0
"""The page about the rules says what the code does."""

from components import causes
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.document import RULES, default, markdown
from components.guarded_evaluator.reasons import REASONS

_NO_LIMITS = {"confidence", "train_split", "eval_split"}


def test_the_page_is_fresh(request):
    page = request.config.rootpath / "docs" / "gate-rules.md"
    assert page.read_text() == markdown(), (
        "run: .venv/bin/python -m components.guarded_evaluator.document "
        "> docs/gate-rules.md"
    )


def test_every_check_has_a_rule_in_the_order_of_the_checks():
    assert list(dict.fromkeys(rule.check for rule in RULES)) == list(CHECKS)


def test_every_limit_belongs_to_a_rule():
    told = {name for rule in RULES for name in rule.limits} | {"min_imbalance_ratio"}
    assert told | _NO_LIMITS == set(EvaluationConfig.model_fields)


def test_every_limit_has_a_reason():
    for field in EvaluationConfig.model_fields.values():
        assert len(field.description or "") > 20


def test_every_cause_is_in_the_catalogue():
    told = {cause for rule in RULES for cause in rule.cause.split(", ")}
    told |= {c for reason in REASONS for c in (*reason.causes, *reason.failures)}
    assert told <= set(causes.CATALOGUE)


def test_defaults_are_written_as_in_a_configuration():
    assert default("max_mode_gap") == "0.05"
    assert default("require_modes") == "true"
    assert default("min_accuracy") == default("slices") == "none"
    assert default("train_split") == "train"
