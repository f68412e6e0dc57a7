# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def compute_statistics(tmp_path_factory) -> Callable:
    """Runs TFDV as StatisticsGen does: options through JSON, statistics to a file.

    The columns map a name to the values, one per example, and their data type; a
    value is None where an example lacks the column. Equal requests are computed
    once.
    """
    # Only here, so that the tests of pure modules start without TFDV.
    import apache_beam as beam
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

    path = tmp_path_factory.mktemp("statistics") / "computed.pb"
    computed: dict[str, bytes] = {}

    def to_batch(columns):
        return pa.RecordBatch.from_arrays(
            [
                pa.array(
                    [v if v is None or isinstance(v, list) else [v] for v in values],
                    pa.large_list(kind),
                )
                for values, kind in columns.values()
            ],
            list(columns),
        )

    def compute(columns, options=None):
        options_json = (options or tfdv.StatsOptions()).to_json()
        key = f"{columns} {options_json}"
        if key not in computed:
            batch = to_batch(columns)
            half = batch.num_rows // 2
            with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
                _ = (
                    pipeline
                    | beam.Create([batch.slice(0, half), batch.slice(half)])
                    | tfdv.GenerateStatistics(tfdv.StatsOptions.from_json(options_json))
                    | tfdv.WriteStatisticsToBinaryFile(str(path))
                )
            computed[key] = path.read_bytes()
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(computed[key])

    return compute
