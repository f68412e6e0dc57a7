# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import Severity
from components.guarded_trainer.mismatch import (
    LINEAR,
    OTHER_ACTIVATIONS,
    SIGMOID,
    SOFTMAX,
    Pair,
    check,
)

SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
ACTIVATIONS = (SOFTMAX, SIGMOID, LINEAR, None, *OTHER_ACTIVATIONS)
LOSSES = (SPARSE, BINARY, "mean_squared_error", "hinge", "kl_divergence", "poisson", "")


@pytest.mark.parametrize(
    "pair",
    [
        Pair(3, SOFTMAX, False, SPARSE, False),
        Pair(3, LINEAR, True, SPARSE, True),
        Pair(1, SIGMOID, False, BINARY, False),
        Pair(1, LINEAR, True, BINARY, True),
        Pair(3, SIGMOID, False, "binary_focal_crossentropy", False),
        Pair(3, None, False, SPARSE, False),
    ],
    ids=str,
)
def test_pairs_that_belong_together_have_nothing_said_of_them(pair):
    assert check(pair) == ()


@given(
    st.builds(
        Pair,
        units=st.sampled_from([1, 2, 10]),
        activation=st.sampled_from(ACTIVATIONS),
        logits=st.booleans(),
        loss=st.sampled_from(LOSSES),
        from_logits=st.sampled_from([True, False, None]),
    )
)
def test_each_pair_has_at_most_one_finding_with_a_way_out(pair):
    findings = check(pair)
    assert len(findings) <= 1
    for finding in findings:
        assert finding.cause == "loss_mismatch"
        assert finding.severity in (Severity.BLOCK, Severity.WARN)
        assert finding.message.endswith(".")
        assert finding.remedy


@pytest.mark.parametrize("activation", [SIGMOID, LINEAR, None])
def test_loss_of_the_users_making_is_trusted(activation):
    assert check(Pair(3, activation, activation == LINEAR, "", None)) == ()


def test_what_blocks_comes_before_what_warns():
    """Linear outputs in place of probabilities, and of regression besides."""
    (finding,) = check(Pair(1, LINEAR, True, "mean_squared_error", False))
    assert finding.blocks


def test_remedy_names_from_logits_only_where_the_loss_has_it():
    (entropy,) = check(Pair(3, LINEAR, True, SPARSE, False))
    (divergence,) = check(Pair(3, LINEAR, True, "kl_divergence", False))
    assert "from_logits" in entropy.remedy
    assert "from_logits" not in divergence.remedy
