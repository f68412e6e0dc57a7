# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.windowed_value import WindowedValue

from components.content.batches import BatchedRecordsFn
from components.content.records import Record


class Sizes(BatchedRecordsFn):
    """Tells how many records came together, and each of them."""

    def read_batch(self, records):
        yield beam.pvalue.TaggedOutput("sizes", len(records))
        for record in records:
            yield record.position


def plain(element):
    if isinstance(element, beam.pvalue.TaggedOutput):
        element = element.value
    return element.value if isinstance(element, WindowedValue) else element


def batches(sizes_in_bytes):
    """Returns the sizes of the batches in which one bundle is handed on."""
    step = Sizes()
    step.start_bundle()
    out = []
    for position, size in enumerate(sizes_in_bytes):
        out += step.process(Record("f", position, b"x" * size))
    out += step.finish_bundle()
    return [
        plain(each) for each in out if isinstance(each, beam.pvalue.TaggedOutput)
    ], [plain(each) for each in out if not isinstance(each, beam.pvalue.TaggedOutput)]


def test_an_empty_bundle_makes_no_batch():
    assert batches([]) == ([], [])


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [1]), (255, [255]), (256, [256]), (257, [256, 1]), (600, [256, 256, 88])],
)
def test_a_batch_holds_at_most_256_records(count, expected):
    sizes, positions = batches([1] * count)
    assert sizes == expected
    assert positions == list(range(count))


def test_large_records_come_fewer_at_a_time():
    sizes, _ = batches([3 * 2**20] * 7)
    assert sizes == [3, 3, 1]


def test_every_record_goes_through_a_pipeline_once_whatever_the_bundles():
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        records = [Record("f", position, b"") for position in range(700)]
        out = (
            pipeline
            | beam.Create(records)
            | beam.ParDo(Sizes()).with_outputs("sizes", main="positions")
        )
        assert_that(out["positions"], equal_to(range(700)))
        assert_that(
            out["sizes"] | beam.CombineGlobally(sum), equal_to([700]), label="sizes"
        )
