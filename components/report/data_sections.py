# SPDX-License-Identifier: Apache-2.0
"""What the page says of parts that a run does not have: a model, or a training."""

import dataclasses

from components.report.inputs import ReportInputs
from components.report.page import Section

_BLOCKED = (
    "No model was trained: what blocks stops a run before its training, unless it is "
    "told to go on."
)
_PASSED = (
    "No model was trained before this page was written; the report of the whole run "
    "shows it."
)
_ELSEWHERE = (
    "Not measured: the model was trained elsewhere, so nothing is known of its "
    "training."
)
_OF_THE_TRAINING = ("transfer", "probe", "layers", "batchnorm")
_OF_THE_MODEL = ("confusion", "modes", "training", *_OF_THE_TRAINING)


def arrange(
    inputs: ReportInputs, leaked: Section, distributions: Section, classes: Section
) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Returns the parts before and after the findings, for a page without model.

    What was found in the data comes first; all parts on the model are one line.
    """
    model = Section(
        id="model",
        title="Model",
        absent=_PASSED if inputs.verdict.passed else _BLOCKED,
        # Without classes there are no facts either.
        also=_OF_THE_MODEL if inputs.classes else (*_OF_THE_MODEL, "facts"),
    )
    if distributions.absent:  # For the same reason as the classes, told there.
        classes = dataclasses.replace(classes, also=(distributions.id,))
        shown: tuple[Section, ...] = ()
    else:
        shown = (distributions,)
    if leaked.leaks:
        return (leaked, *shown), (classes, model)
    return shown, (leaked, classes, model)


def trained_elsewhere() -> Section:
    """Returns the one line for all parts on a training that nobody watched."""
    return Section(
        id="training", title="Training", absent=_ELSEWHERE, also=_OF_THE_TRAINING
    )
