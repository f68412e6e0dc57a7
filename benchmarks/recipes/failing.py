# SPDX-License-Identifier: Apache-2.0
"""Trainings that fail, and why.

The faults are those of the benchmarks of AUTOTRAINER (Zhang et al. 2021), DeepFD
(Cao et al. 2022) and TheDeepChecker (Ben Braiek and Khomh 2022), and of the questions
that people ask.
"""

from recipes.design import DESIGN
from recipes.optimization import OPTIMIZATION

FAILING = (*OPTIMIZATION, *DESIGN)
