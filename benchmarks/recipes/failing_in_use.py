# SPDX-License-Identifier: Apache-2.0
"""All models that fail in use."""

from recipes.failing_by_data import BY_DATA
from recipes.failing_classes import IMBALANCE
from recipes.failing_modes import MODES
from recipes.failing_optimization import OPTIMIZATION, SCALING
from recipes.failing_weights import OUTPUTS, OVERFITTING, WEIGHTS

FAILING = (
    *IMBALANCE,
    *OPTIMIZATION,
    *SCALING,
    *MODES,
    *OVERFITTING,
    *WEIGHTS,
    *OUTPUTS,
    *BY_DATA,
)
