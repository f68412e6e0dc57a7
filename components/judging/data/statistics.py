# SPDX-License-Identifier: Apache-2.0
"""TFDV's statistics of all splits in one Beam pipeline, without TFX."""

import os
from collections.abc import Callable, Mapping, Sequence

import apache_beam as beam
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.tfxio import tf_example_record

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]
"""TFDV's statistics by split."""

_DESCRIPTORS = ["tfx-guard"]


def compute(
    files: Mapping[str, Sequence[str]],
    options: tfdv.StatsOptions,
    folder: str,
    make_pipeline: Callable[[], beam.Pipeline],
) -> Statistics:
    """Computes what TFX's StatisticsGen does.

    Args:
      files: TFRecord files of serialized tf.Examples by split.
      options: TFDV's options.
      folder: An existing folder for the results.
      make_pipeline: Makes a Beam pipeline.
    """
    paths = {split: os.path.join(folder, f"{split}.statistics") for split in files}
    with make_pipeline() as pipeline:
        for split, of_split in files.items():
            source = tf_example_record.TFExampleRecord(
                list(of_split), telemetry_descriptors=_DESCRIPTORS
            )
            _ = (
                pipeline
                | f"Read[{split}]" >> source.BeamSource()
                | f"Generate[{split}]" >> tfdv.GenerateStatistics(options)
                | f"Write[{split}]" >> tfdv.WriteStatisticsToBinaryFile(paths[split])
            )
    return {split: tfdv.load_stats_binary(path) for split, path in paths.items()}


def infer_schema(statistics: Statistics) -> schema_pb2.Schema:
    """Infers the schema that TFX's SchemaGen does: of the first split, then widened."""
    schema: schema_pb2.Schema | None = None
    for proto in statistics.values():
        schema = (
            tfdv.infer_schema(proto)
            if schema is None
            else tfdv.update_schema(schema, proto)
        )
    return schema or schema_pb2.Schema()
