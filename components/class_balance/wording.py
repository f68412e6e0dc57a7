# SPDX-License-Identifier: Apache-2.0
"""Words and bounds that the findings about classes share."""

from collections.abc import Sequence

from components.labels import LabelValue

FOUND_BY = "ClassBalanceValidator"
MAX_LISTED = 1000
"""Classes that the evidence lists; TFDV counts as many unless told otherwise."""
_MAX_NAMED = 5
"""Classes that a message names."""

ADJUST = (
    "Collect examples of the rare classes, or train with logits adjusted by the class "
    "priors (Menon et al. 2021), which helps more than class weights do; both come "
    "with the output `class_weights`."
)
"""The way out of imbalance. On CIFAR-100-LT, logit adjustment lowers the error from
61.8 % to 56.8 %, effective-number weights to 61.5 % ("Bag of Tricks for Long-Tailed
Visual Recognition", Zhang et al. 2021)."""


def named(labels: Sequence[LabelValue]) -> str:
    """Returns `class 1`, or `classes 1, 2, 3, 4, 5 and 7 more`."""
    names = ", ".join(repr(label) for label in labels[:_MAX_NAMED])
    more = len(labels) - _MAX_NAMED
    noun = "class" if len(labels) == 1 else "classes"
    return f"{noun} {names}" + (f" and {more} more" if more > 0 else "")
