# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from components.guarded_trainer.remedies.judging import judge
from components.records.training import Epoch, ProbeReading, Remedy


def remedy(epoch=1, cause="not_a_number", back=0, action="lower_learning_rate"):
    return Remedy(
        action=action, cause=cause, epoch=epoch, back_to_epoch=back, message=""
    )


def epochs(*losses):
    return [Epoch(loss=loss, first_loss=2.3) for loss in losses]


def helped(remedies, made, broken=False):
    return [r.helped for r in judge(remedies, made, broken)]


@pytest.mark.parametrize(
    ("losses", "broken", "expected"),
    [
        pytest.param((2.0, math.nan, 1.5), False, True, id="lower than before"),
        pytest.param((2.0, math.nan, 1.99), False, False, id="no lower than before"),
        pytest.param((2.0, math.nan), False, None, id="nothing came after"),
        pytest.param((2.0, math.nan, 1.5, math.nan), True, False, id="broke again"),
        pytest.param((2.0, math.nan), True, False, id="ended broken"),
        pytest.param((None, math.nan, 1.0), False, True, id="nothing to compare with"),
    ],
)
def test_remedy_is_judged_by_what_came_after(losses, broken, expected):
    assert helped([remedy()], epochs(*losses), broken) == [expected]


def test_remedy_that_had_to_be_followed_by_another_has_not_helped():
    made = epochs(2.0, math.nan, math.nan, 1.0)
    both = [remedy(1), remedy(2)]
    assert helped(both, made) == [False, True]
    other = [remedy(1), remedy(2, cause="mode_gap")]
    assert helped(other, made)[0] is True


def test_initial_weights_are_compared_by_the_first_loss():
    assert helped([remedy(0, back=-1)], epochs(math.nan, 2.0)) == [True]
    assert helped([remedy(0, back=-1)], epochs(math.nan, 2.29)) == [False]


def test_lower_momentum_has_helped_where_the_gap_got_smaller():
    def epoch(training, inference):
        return Epoch(
            probe=ProbeReading(
                num_examples=9,
                training_accuracy=training,
                inference_accuracy=inference,
            ),
            loss=1.0,
        )

    taken = [remedy(0, "mode_gap", None, "lower_batch_norm_momentum")]
    assert helped(taken, [epoch(0.9, 0.2), epoch(0.9, 0.85)]) == [True]
    assert helped(taken, [epoch(0.9, 0.2), epoch(0.9, 0.1)]) == [False]
    assert helped(taken, [epoch(0.9, 0.2), Epoch(loss=1.0)]) == [None]
