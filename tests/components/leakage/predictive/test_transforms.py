# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from components.content.examples import ExampleParser
from components.content.records import Record
from components.leakage.predictive.sample import Sample
from components.leakage.predictive.transforms import SampleRows, SumPicturesFn
from components.leakage.predictive.variance import deviation_of


@pytest.fixture(scope="module")
def records(example):
    """500 examples of 400 contents, and one without a label."""
    data = [
        example(x=float(n % 400), t=b"%d" % (n % 400), id=n, label=n % 2)
        for n in range(500)
    ]
    data.append(example(x=-1.0))
    return [Record("a.gz", position, each) for position, each in enumerate(data)]


def parse(record):
    (parsed,) = ExampleParser("label", ("id",)).parse([record])
    return parsed


def check_same(results):
    """Checks samples of equal records, cut differently."""
    one, other = results
    assert one == other
    keys = [key for key, _, _ in one]
    assert len(keys) == 50
    assert keys == sorted(keys)
    for _, row, count in one:
        # Of copies the first is kept, and each is counted.
        assert row.position < 400
        assert count == (2 if row.position < 100 else 1)
    assert Sample(one).standard_deviations().keys() == {"x"}


def test_sample_is_the_same_for_any_sharding(records):
    shards = {
        "whole": [records],
        "cut": [records[-1 - part :: -3] for part in range(3)],
        "empty": [[]],
    }
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        samples = {
            name: [
                pipeline | f"Create[{name},{part}]" >> beam.Create(elements)
                for part, elements in enumerate(parts)
            ]
            | f"Flatten[{name}]" >> beam.Flatten()
            | f"Parse[{name}]" >> beam.Map(parse)
            | f"Sample[{name}]" >> SampleRows("label", ("id",), 50)
            for name, parts in shards.items()
        }
        both = (samples["whole"], samples["cut"]) | "Both" >> beam.Flatten()
        assert_that(both, check_same, label="Same")
        assert_that(samples["empty"], equal_to([[]]), label="Empty")


def test_pictures_are_summed_whatever_the_sharding():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    fn = SumPicturesFn()

    def combine(parts):
        sums = []
        for part in range(parts):
            one = fn.create_accumulator()
            for picture in pictures[part::parts]:
                one = fn.add_input(one, picture)
            sums.append(one)
        return fn.extract_output(fn.merge_accumulators(sums))

    whole, cut = combine(1), combine(4)
    assert whole.count == cut.count == 30
    np.testing.assert_array_equal(whole.total, cut.total)
    np.testing.assert_array_equal(whole.squares, cut.squares)
    assert deviation_of(whole) == deviation_of(cut) > 0
