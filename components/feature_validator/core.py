# SPDX-License-Identifier: Apache-2.0
"""Runs all checks; one that raises is a blocking finding, never a pass."""

import functools
from collections.abc import Callable

from absl import logging

from components.errors import InputError
from components.feature_validator.checks import categories, form, skew, values
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import DataStatistics
from components.feature_validator.wording import FOUND_BY
from components.findings import Finding, failed_check

Check = Callable[[DataStatistics, FeatureConfig], list[Finding]]

COMPARISONS: dict[str, Check] = {
    "find_numeric_skew": skew.find_numeric_skew,
    "find_category_skew": categories.find_category_skew,
}
"""The checks that compare distributions."""
CHECKS: dict[str, Check] = {
    "find_missing_values": form.find_missing_values,
    "find_ragged_features": form.find_ragged_features,
    "find_not_a_number": values.find_not_a_number,
    "find_low_variance": values.find_low_variance,
    "find_unscaled_input": values.find_unscaled_input,
}
"""The checks that need nothing of the others."""


def judge(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Runs all checks.

    A split that is scaled unlike the others often has other data types as well,
    fractions for whole numbers; that is one fault, and is reported as skew.
    """
    compared = _run(COMPARISONS, data, config)
    skewed = {found.subject.split for found in compared if found.blocks}
    rest: dict[str, Check] = {
        "find_schema_anomalies": functools.partial(
            form.find_schema_anomalies, skewed=skewed
        ),
        "find_type_differences": functools.partial(
            form.find_type_differences, skewed=skewed
        ),
        **CHECKS,
    }
    return [*compared, *_run(rest, data, config)]


def _run(
    checks: dict[str, Check], data: DataStatistics, config: FeatureConfig
) -> list[Finding]:
    found: list[Finding] = []
    for name, check in checks.items():
        try:
            found.extend(check(data, config))
        except InputError:
            raise
        except Exception as error:
            logging.exception("%s failed", name)
            found.append(failed_check(f"{FOUND_BY}.{name}", error))
    return found
