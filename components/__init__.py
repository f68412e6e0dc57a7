# SPDX-License-Identifier: Apache-2.0
"""TFX components that keep classifiers which fail in use out of production.

The names below are loaded when they are first used: importing a component
imports TFX and TensorFlow, which costs many seconds that `components.findings`
or `components.causes` must not cost.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.artifacts import ClassWeights as ClassWeights
    from components.artifacts import GuardFindings as GuardFindings
    from components.artifacts import GuardReport as GuardReport
    from components.class_balance.component import (
        ClassBalanceValidator as ClassBalanceValidator,
    )
    from components.example_splitter.component import (
        ExampleSplitter as ExampleSplitter,
    )
    from components.feature_validator.component import (
        FeatureValidator as FeatureValidator,
    )
    from components.guarded_evaluator.component import (
        GuardedEvaluator as GuardedEvaluator,
    )
    from components.guarded_pusher.component import GuardedPusher as GuardedPusher
    from components.guarded_trainer.component import GuardedTrainer as GuardedTrainer
    from components.guarded_trainer.export_guarded import (
        export_guarded as export_guarded,
    )
    from components.guarded_trainer.fit_guarded import fit_guarded as fit_guarded
    from components.guarded_trainer.transfer.notebook import (
        fit_transfer as fit_transfer,
    )
    from components.image_example_gen.component import (
        ImageExampleGen as ImageExampleGen,
    )
    from components.judging.judge import judge as judge
    from components.latest_blessed_model.component import (
        LatestBlessedModel as LatestBlessedModel,
    )
    from components.leakage.component import LeakageValidator as LeakageValidator
    from components.parquet_example_gen.component import (
        ParquetExampleGen as ParquetExampleGen,
    )
    from components.report.component import DataReport as DataReport
    from components.report.component import Report as Report

_MODULES = {
    "ClassWeights": "components.artifacts",
    "GuardFindings": "components.artifacts",
    "GuardReport": "components.artifacts",
    "ClassBalanceValidator": "components.class_balance.component",
    "DataReport": "components.report.component",
    "ExampleSplitter": "components.example_splitter.component",
    "FeatureValidator": "components.feature_validator.component",
    "GuardedEvaluator": "components.guarded_evaluator.component",
    "GuardedPusher": "components.guarded_pusher.component",
    "GuardedTrainer": "components.guarded_trainer.component",
    "ImageExampleGen": "components.image_example_gen.component",
    "LatestBlessedModel": "components.latest_blessed_model.component",
    "LeakageValidator": "components.leakage.component",
    "ParquetExampleGen": "components.parquet_example_gen.component",
    "Report": "components.report.component",
    "export_guarded": "components.guarded_trainer.export_guarded",
    "fit_guarded": "components.guarded_trainer.fit_guarded",
    "fit_transfer": "components.guarded_trainer.transfer.notebook",
    "judge": "components.judging.judge",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
