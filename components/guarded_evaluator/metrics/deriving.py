# SPDX-License-Identifier: Apache-2.0
"""What TFMA computes for a metric of one model: sums, a record, a value of either."""

from collections.abc import Callable
from typing import Any

from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.combining import OutcomesCombineFn
from components.guarded_evaluator.results import make_result

OUTCOMES, RESULT = "_guard_outcomes", "_guard_result"
"""Names of what metrics rest on: the sums, and the record that is made of them. TFMA
leaves out of its files what begins with an underscore."""


def derived(
    name: str,
    source: str,
    values: Callable[[metric_types.MetricKey, Any], dict[metric_types.MetricKey, Any]],
    eval_config: config_pb2.EvalConfig | None,
    model_names: list[str] | None,
    output_names: list[str] | None,
) -> metric_types.MetricComputations:
    """Returns what TFMA computes for a metric, that which it rests on included.

    TFMA runs computations with equal keys once.

    Args:
      name: Name of the metric.
      source: `OUTCOMES` or `RESULT`.
      values: Makes the metric's values, by key, of its key and its source.
      eval_config: TFMA's.
      model_names: TFMA's.
      output_names: TFMA's.
    """
    computations: metric_types.MetricComputations = []
    for model_name in model_names or [""]:
        for output_name in output_names or [""]:
            outcomes, result, key = (
                metric_types.MetricKey(n, model_name, output_name)
                for n in (OUTCOMES, RESULT, name)
            )
            rests_on = outcomes if source == OUTCOMES else result
            computations += [
                metric_types.MetricComputation(
                    keys=[outcomes],
                    preprocessors=None,
                    combiner=OutcomesCombineFn(
                        outcomes, eval_config, [model_name], output_name
                    ),
                ),
                metric_types.DerivedMetricComputation(
                    keys=[result],
                    result=lambda metrics, outcomes=outcomes, result=result: {
                        result: make_result("", "", metrics[outcomes])
                    },
                ),
                metric_types.DerivedMetricComputation(
                    keys=[key],
                    result=lambda metrics, key=key, rests_on=rests_on: values(
                        key, metrics[rests_on]
                    ),
                ),
            ]
    return computations
