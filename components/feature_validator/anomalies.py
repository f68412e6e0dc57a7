# SPDX-License-Identifier: Apache-2.0
"""Reads what ExampleValidator found."""

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.feature_validator.features import SchemaAnomaly

_WARNING = anomalies_pb2.AnomalyInfo.WARNING


def read_anomalies(
    anomalies: anomalies_pb2.Anomalies, split: str
) -> tuple[SchemaAnomaly, ...]:
    """Returns the anomalies of one split, by feature.

    Args:
      anomalies: TFDV's anomalies.
      split: Name of the split.

    Returns:
      One entry per feature, sorted by its name, and one for the data set if
      something is wrong with it as a whole.
    """
    infos: list[tuple[str | None, anomalies_pb2.AnomalyInfo]] = []
    for key, info in sorted(anomalies.anomaly_info.items()):
        infos.append((".".join(info.path.step) or key, info))
    if anomalies.HasField("dataset_anomaly_info"):
        infos.append((None, anomalies.dataset_anomaly_info))
    return tuple(
        SchemaAnomaly(
            split=split,
            feature=feature,
            types=tuple(
                anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
                for reason in info.reason
            ),
            description=info.description or info.short_description,
            # An anomaly of unknown severity is no reason to go on.
            is_error=info.severity != _WARNING,
        )
        for feature, info in infos
    )
