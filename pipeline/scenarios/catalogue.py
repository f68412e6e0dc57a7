# SPDX-License-Identifier: Apache-2.0
"""The scenarios by name: what each shows, and how it is made runnable."""

import dataclasses
import difflib
import importlib
from pathlib import Path

import yaml

from components.errors import InputError
from pipeline.config import GuardConfig, parse_config

DEMO = "digits"
"""The scenario that runs where none is named."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A problem that comes with data, a model and a configuration.

    Attributes:
      name: What the command line calls it.
      sentence: What it shows.
      package: Python package with `guard.yaml` and, where there is a cure,
        `mended.yaml`.
      data: Module with `write_data(folder)`.
    """

    name: str
    sentence: str
    package: str
    data: str


_SCENARIOS = (
    Scenario(
        DEMO,
        "A sound convolutional network on handwritten digits: blessed and pushed.",
        "pipeline.scenarios.digits",
        "pipeline.scenarios.digits.data",
    ),
    Scenario(
        "batchnorm-gap",
        "The same network after three epochs: right in training mode, wrong in use, "
        "because the BatchNorm statistics have not arrived.",
        "pipeline.scenarios.batchnorm_gap",
        "pipeline.scenarios.digits.data",
    ),
    Scenario(
        "leaked-pictures",
        "A folder of pictures, some of which are in the training and in the evaluation "
        "split, altered a little: stopped before training.",
        "pipeline.scenarios.leaked_pictures",
        "pipeline.scenarios.leaked_pictures.data",
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _SCENARIOS}


def find_scenario(name: str) -> Scenario:
    """Returns a scenario by its name.

    Raises:
      InputError: If there is none of that name.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    near = difflib.get_close_matches(name, SCENARIOS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
    raise InputError(
        f"--scenario: expected one of {', '.join(SCENARIOS)}, but got {name!r}; {hint}"
    )


def make_config(scenario: Scenario, output: Path, *, mended: bool) -> GuardConfig:
    """Writes the scenario's data, if need be, and returns its configuration.

    Args:
      scenario: The scenario.
      output: Folder for its data and results.
      mended: Whether to take the variant that is cured.

    Raises:
      InputError: If there is nothing to mend.
    """
    folder = Path(str(importlib.import_module(scenario.package).__file__)).parent
    path = folder / ("mended.yaml" if mended else "guard.yaml")
    if not path.is_file():
        raise InputError(
            f"--mended: expected a scenario with something to mend, but "
            f"{scenario.name!r} is sound; leave the option out"
        )
    data = output / "data"
    if not data.is_dir():
        importlib.import_module(scenario.data).write_data(data)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parse_config(content, str(path), output, output=output)
