# SPDX-License-Identifier: Apache-2.0
"""Shows findings to TFX's viewers, as the anomalies that TFDV would report.

The files are those of TFX's own ExampleValidator: under each `Split-<name>` of
an `ExampleAnomalies` artifact one `Anomalies` proto, and the outcome per split
in the custom property `blessed`. Whatever shows that component's results
(`tfdv.display_anomalies`, the notebook views) shows ours.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils

from components.causes import CATALOGUE, Severity
from components.findings import Finding

ANOMALIES_FILE = "SchemaDiff.pb"
"""Name of the proto in each split's folder."""
BLESSED_PROPERTY = "blessed"
"""Custom property: a JSON object from split name to 1 (good) or 0 (blocked)."""

_SEVERITIES = {
    Severity.BLOCK: anomalies_pb2.AnomalyInfo.ERROR,
    Severity.WARN: anomalies_pb2.AnomalyInfo.WARNING,
}


def by_split(
    findings: Iterable[Finding], splits: Sequence[str]
) -> dict[str, tuple[Finding, ...]]:
    """Sorts findings by the split they are about.

    Args:
      findings: Findings of any number of splits.
      splits: Names of the splits of the data.

    Returns:
      One entry per split, in the given order, empty where nothing was found. A
      finding that names none of the splits stands under each of them: it must
      not get lost.
    """
    findings = tuple(findings)
    return {
        split: tuple(
            finding
            for finding in findings
            if finding.subject.split == split or finding.subject.split not in splits
        )
        for split in splits
    }


def anomalies_of(
    findings: Iterable[Finding], feature: str | None = None
) -> anomalies_pb2.Anomalies:
    """Turns the findings about one split into TFDV's anomalies.

    Findings that block become errors, those that warn become warnings;
    information is no anomaly and is left out. TFDV has one entry per feature: it
    gathers all findings about the feature, and carries their worst severity.

    Args:
      findings: Findings about one split, most important first.
      feature: Name of the feature that findings are about whose subject names
        none, such as the label; if None, they become anomalies of the data set.

    Returns:
      The anomalies; without any entry if nothing blocks or warns.
    """
    anomalies = anomalies_pb2.Anomalies(
        anomaly_name_format=anomalies_pb2.Anomalies.SERIALIZED_PATH
    )
    for finding in findings:
        if finding.severity not in _SEVERITIES:
            continue
        name = finding.subject.feature or feature
        if name is None:
            info = anomalies.dataset_anomaly_info
        else:
            info = anomalies.anomaly_info[_serialized(name)]
            info.path.step[:] = [name]
        _add(info, finding)
    return anomalies


def write_anomalies(
    anomalies: artifact.Artifact,
    findings: Mapping[str, Iterable[Finding]],
    *,
    feature: str | None = None,
    span: int | None = None,
) -> None:
    """Writes the anomalies of each split and the outcome into the properties.

    Args:
      anomalies: The `ExampleAnomalies` artifact to fill.
      findings: Findings of each split, an empty entry for a good split; see
        `by_split`.
      feature: As for `anomalies_of`.
      span: Span of the data that was looked at.
    """
    blessed = {}
    anomalies.split_names = artifact_utils.encode_split_names(list(findings))
    if span is not None:
        anomalies.span = span
    for split, found in findings.items():
        found = tuple(found)
        folder = artifact_utils.get_split_uri([anomalies], split)
        fileio.makedirs(folder)
        with fileio.open(os.path.join(folder, ANOMALIES_FILE), "wb") as file:
            file.write(anomalies_of(found, feature).SerializeToString())
        blessed[split] = int(not any(finding.blocks for finding in found))
    anomalies.set_json_value_custom_property(BLESSED_PROPERTY, blessed)


def _serialized(name: str) -> str:
    """Returns a feature's name as TFDV serializes it: quoted if it has a dot."""
    if any(mark in name for mark in ".'()"):
        return "'" + name.replace("'", "''") + "'"
    return name


def _add(info: anomalies_pb2.AnomalyInfo, finding: Finding) -> None:
    """Adds one finding to what is known about a feature or the data set."""
    text = f"{finding.message} {finding.remedy}"
    title = CATALOGUE[finding.cause].sentence
    # TFDV's own wording for a feature with more than one anomaly.
    info.short_description = "Multiple errors" if info.reason else title
    info.description = f"{info.description} {text}".strip()
    info.severity = max(info.severity, _SEVERITIES[finding.severity])
    info.reason.add(
        type=anomalies_pb2.AnomalyInfo.CUSTOM_VALIDATION,
        short_description=title,
        description=text,
    )
