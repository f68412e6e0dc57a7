# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from pyarrow import parquet
from tfx.types import standard_component_specs

from components.parquet_example_gen.component import ParquetExampleGen
from components.parquet_example_gen.executor import Executor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet")
    table = pa.table({"label": [0, 1, 0], "x": [0.0, 2.5, None], "t": ["", "b", None]})
    (path / "train").mkdir()
    parquet.write_table(table, path / "train" / "a.parquet")
    return path


def test_zeros_and_empty_texts_are_no_missing_values(folder):
    read = Executor().GetInputSourceToExamplePTransform()
    properties = {standard_component_specs.INPUT_BASE_KEY: str(folder)}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = (
            pipeline
            | read(properties, "train/*")
            | beam.Map(
                lambda example: (
                    list(example.features.feature["label"].int64_list.value),
                    list(example.features.feature["x"].float_list.value),
                    list(example.features.feature["t"].bytes_list.value),
                )
            )
        )
        assert_that(
            rows, equal_to([([0], [0.0], [b""]), ([1], [2.5], [b"b"]), ([0], [], [])])
        )


def test_component_runs_the_executor(folder):
    component = ParquetExampleGen(input_base=str(folder))
    assert component.executor_spec.executor_class is Executor
    assert set(component.outputs) == {"examples"}
