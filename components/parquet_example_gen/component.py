# SPDX-License-Identifier: Apache-2.0
"""Declares the ExampleGen for Parquet files."""

from tfx.components.example_gen import component
from tfx.dsl.components.base import executor_spec

from components.parquet_example_gen.executor import Executor


class ParquetExampleGen(component.FileBasedExampleGen):
    """Turns Parquet files into examples.

    Takes the arguments of TFX's `CsvExampleGen`:

    ```python
    example_gen = ParquetExampleGen(input_base="data/")
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    ```

    Component `outputs` contains:
      - `examples`: Channel of type `standard_artifacts.Examples`.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
