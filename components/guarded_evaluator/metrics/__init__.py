# SPDX-License-Identifier: Apache-2.0
"""TFMA metrics for collapse signatures and mode gaps.

Import this package to register them; then name them by class name in any
`tfma.EvalConfig`. All expect integer labels 0 to K-1 and predictions of shape (K,).
"""

from components.guarded_evaluator.metrics.outcomes import (
    ConfusionCounts as ConfusionCounts,
)
from components.guarded_evaluator.metrics.outcomes import DeadClasses as DeadClasses
from components.guarded_evaluator.metrics.outcomes import MeanLogLoss as MeanLogLoss
from components.guarded_evaluator.metrics.outcomes import (
    NumNotFinite as NumNotFinite,
)
from components.guarded_evaluator.metrics.outcomes import (
    OutputSpread as OutputSpread,
)
from components.guarded_evaluator.metrics.outcomes import (
    PredictedClassShares as PredictedClassShares,
)
from components.guarded_evaluator.metrics.paired import (
    PairedOutcomes as PairedOutcomes,
)
