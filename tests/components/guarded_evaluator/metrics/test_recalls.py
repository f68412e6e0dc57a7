# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.guarded_evaluator.intervals import lower_bound, upper_bound
from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.metrics.recalls import recall_intervals
from components.guarded_evaluator.results import make_result


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("hits", [[0, 3], [3, 0], [1, 2], [17, 4000], [500, 1], [0, 0]])
def test_intervals_are_the_exact_two_sided_ones(hits, confidence):
    confusion = ((hits[0], hits[1]), (hits[1], hits[0]))
    outcomes = Outcomes.empty(2)
    outcomes.confusion = np.array(confusion)
    rows = recall_intervals(make_result("", "", outcomes), confidence)
    tail, count = (1 - confidence) / 2, sum(hits)
    if not count:
        assert np.isnan(rows).all()
        return
    for row in rows:
        assert row.tolist() == pytest.approx(
            [
                hits[0] / count,
                lower_bound(hits[0], count, 1 - tail),
                upper_bound(hits[0], count, 1 - tail),
            ],
            rel=1e-9,
            abs=1e-12,
        )
