# SPDX-License-Identifier: Apache-2.0
import pytest

from components.causes import Severity
from components.findings import find
from components.judging.models.asked import EnteringScale
from components.judging.scaling import settle

UNSCALED = find(
    "unscaled_input", "Feature 'x' is far from 1.", measured=826.0, limit=100.0
)
OTHER = find("class_imbalance", "Classes are uneven.", measured=0.05, limit=0.1)


@pytest.mark.parametrize(
    ("overall", "largest", "is_answered"),
    [
        (1.0, 3.0, True),
        (50.0, 100.0, True),
        (50.0, 100.1, False),
        (0.01, 0.02, True),
        (0.0099, 0.02, False),
        (float("nan"), float("nan"), False),
    ],
)
def test_warning_is_answered_by_a_layer_that_scales(overall, largest, is_answered):
    scale = EnteringScale(overall, largest)
    found, other = settle([UNSCALED, OTHER], scale)
    assert other == OTHER
    assert (found.severity is Severity.INFO) == is_answered
    assert ("a layer of the model" in found.message) == is_answered
    assert found.measured == UNSCALED.measured


def test_findings_stay_where_the_model_cannot_be_looked_into():
    assert settle([UNSCALED, OTHER], None) == (UNSCALED, OTHER)
    assert settle([], None) == ()
