# SPDX-License-Identifier: Apache-2.0
"""TFMA metrics for what goes wrong in use: collapse, mode gaps, false confidence.

Name them in any `tfma.EvalConfig` by class name and this package as module. What they
expect and what each one is stands in docs/metrics.md. The classes are loaded when
they are first used: the sums they are made of must not cost an import of TFMA.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.guarded_evaluator.metrics.of_one_model import (
        CalibrationBins as CalibrationBins,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        ClassDistance as ClassDistance,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        ClassificationAccuracy as ClassificationAccuracy,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        ConfusionCounts as ConfusionCounts,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        DeadClasses as DeadClasses,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        EffectivePredictedClasses as EffectivePredictedClasses,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        ExpectedCalibrationError as ExpectedCalibrationError,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        LargestOutputSpread as LargestOutputSpread,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        LowestRecall as LowestRecall,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        MeanConfidence as MeanConfidence,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        MeanLogLoss as MeanLogLoss,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        MeanRecall as MeanRecall,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        NumNotFinite as NumNotFinite,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        NumNotProbabilities as NumNotProbabilities,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        OutcomeSums as OutcomeSums,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        OutputRange as OutputRange,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        OutputSpread as OutputSpread,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        PredictedClassEntropy as PredictedClassEntropy,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        PredictedClassShares as PredictedClassShares,
    )
    from components.guarded_evaluator.metrics.of_one_model import (
        SaturatedShare as SaturatedShare,
    )
    from components.guarded_evaluator.metrics.of_two_models import (
        AccuracyGain as AccuracyGain,
    )
    from components.guarded_evaluator.metrics.of_two_models import (
        Disagreement as Disagreement,
    )
    from components.guarded_evaluator.metrics.of_two_models import (
        MeanDistance as MeanDistance,
    )
    from components.guarded_evaluator.metrics.of_two_models import (
        PairedOutcomes as PairedOutcomes,
    )
    from components.guarded_evaluator.metrics.recalls import ClassRecall as ClassRecall
    from components.guarded_evaluator.metrics.recalls import (
        ClassRecalls as ClassRecalls,
    )

OF_ONE_MODEL = (
    "CalibrationBins",
    "ClassDistance",
    "ClassRecalls",
    "ClassificationAccuracy",
    "ConfusionCounts",
    "DeadClasses",
    "EffectivePredictedClasses",
    "ExpectedCalibrationError",
    "LargestOutputSpread",
    "LowestRecall",
    "MeanConfidence",
    "MeanLogLoss",
    "MeanRecall",
    "NumNotFinite",
    "NumNotProbabilities",
    "OutcomeSums",
    "OutputRange",
    "OutputSpread",
    "PredictedClassEntropy",
    "PredictedClassShares",
    "SaturatedShare",
)
"""Class names of what the gate measures of each model."""
OF_TWO_MODELS = ("AccuracyGain", "Disagreement", "MeanDistance", "PairedOutcomes")
"""Class names of what it measures of two models; they need a `reference`."""

_MODULES = {
    **dict.fromkeys(OF_ONE_MODEL, f"{__name__}.of_one_model"),
    **dict.fromkeys(("ClassRecall", "ClassRecalls"), f"{__name__}.recalls"),
    **dict.fromkeys(OF_TWO_MODELS, f"{__name__}.of_two_models"),
}

__all__ = sorted([*_MODULES, "OF_ONE_MODEL", "OF_TWO_MODELS", "register"])


def register() -> None:
    """Makes TFMA know the metrics by class name alone, without this module's."""
    for module in sorted(set(_MODULES.values())):
        importlib.import_module(module)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
