# SPDX-License-Identifier: Apache-2.0
"""Reads Parquet files with Beam."""

import os
from typing import Any

import apache_beam as beam
from tensorflow.core.example import example_pb2
from tfx.components.example_gen import base_example_gen_executor
from tfx.types import standard_component_specs

from components.parquet_example_gen.conversion import to_example


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(example_pb2.Example)
def _ParquetToExample(  # It is a PTransform, as TFX asks for one.
    pipeline: beam.Pipeline, exec_properties: dict[str, Any], split_pattern: str
) -> beam.PCollection:
    """Reads the files of one split."""
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    return (
        pipeline
        | "ReadFromParquet"
        >> beam.io.ReadFromParquet(os.path.join(base, split_pattern))
        | "ToExample" >> beam.Map(to_example)
    )


class Executor(base_example_gen_executor.BaseExampleGenExecutor):
    """TFX's executor for Parquet, but for how a row becomes an example.

    That of TFX 1.16 (`example_gen.utils.dict_to_example`) takes whatever is false in
    Python for missing: every 0, 0.0 and empty text, and so the first class of most
    labels.
    """

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        """Returns the transform from files to examples."""
        return _ParquetToExample
