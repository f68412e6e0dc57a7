# SPDX-License-Identifier: Apache-2.0
"""The artifact types of this project, and what lies on disk under each.

Kubeflow imports a type by its `TYPE_NAME` as `package.Class`, so each class is
also exported by the package `components`; it cannot carry declared properties,
so none has `PROPERTIES`: custom properties only.
"""

from tfx.types import artifact


class GuardFindings(artifact.Artifact):
    """What one component found.

    Under its uri lies `findings.json` (a `components.findings.Verdict`).

    Custom properties: `passed` (int, 1 if nothing blocks), `num_blocking` (int).
    """

    TYPE_NAME = "components.GuardFindings"


class ClassWeights(artifact.Artifact):
    """The classes, how often each occurs, and what each weighs in the loss.

    Under its uri lies `class_weights.json` (a `components.labels.ClassTable`).
    """

    TYPE_NAME = "components.ClassWeights"


class GuardReport(artifact.Artifact):
    """The report of one run.

    Under its uri lie `report.html`, one self-contained page, and `verdict.json`.
    """

    TYPE_NAME = "components.GuardReport"
