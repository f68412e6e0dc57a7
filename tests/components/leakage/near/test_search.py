# SPDX-License-Identifier: Apache-2.0
import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.leakage.near.candidates import FindCandidates, count_candidates
from components.leakage.near.rows import RowModel
from components.leakage.near.samples import compute_background
from components.leakage.near.verification import VerifyCandidates, record_digest

MODEL = RowModel((1e-3,) * 6)
TWO_PROCESSES = (
    "--runner=FnApiRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)


@pytest.fixture(scope="module")
def leaky(to_record):
    """Two splits against a reference: others, near ones, copies and near copies."""
    rng = np.random.default_rng(0)
    train = rng.normal(size=(800, 6))
    near = train[:120] + rng.uniform(-1e-3, 1e-3, (120, 6))
    copies = train[200:260]
    # A copy of one content that is also near another.
    both = np.concatenate([train, copies[:5] + 5e-4])
    rows = {
        "train": both,
        "eval": np.concatenate([rng.normal(size=(200, 6)), near[:80], copies]),
        "test": np.concatenate([rng.normal(size=(50, 6)), near[60:]]),
    }
    records = {}
    for offset, (split, some) in enumerate(rows.items()):
        records[split] = [
            to_record(row, offset * 10_000 + i) for i, row in enumerate(some)
        ]
    return records, near, train


@pytest.fixture(scope="module")
def expected(leaky, find_matches):
    records, _, _ = leaky
    return find_matches(MODEL, records)


def test_all_near_duplicates_are_found_and_nothing_else(leaky, expected, fingerprint):
    _, near, train = leaky
    assert expected.keys() == {fingerprint(row) for row in near}
    for i, row in enumerate(near):
        match = expected[fingerprint(row)]
        assert match.reference_fingerprint == fingerprint(train[i])
        assert match.query_split == ("eval" if i < 80 else "test")
        apart = np.abs(row - train[i]).max() / 1e-3
        assert match.similarity == pytest.approx(1 - apart, abs=1e-6)


def test_the_records_named_have_the_contents_named(leaky, expected, fingerprint):
    records, _, _ = leaky
    contents = {
        (split, record_digest(record)): fingerprint(np.frombuffer(record[8:]))
        for split, some in records.items()
        for record in some
    }
    for match in expected.values():
        query = match.query_split, match.query_record_digest
        assert contents[query] == match.query_fingerprint
        reference = contents["train", match.reference_record_digest]
        assert reference == match.reference_fingerprint


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.integers(1, 5),
    num_partitions=st.integers(1, 50),
    seed=st.integers(0, 2**32),
)
def test_matches_do_not_depend_on_sharding_or_order(
    leaky, expected, find_matches, parts, num_partitions, seed
):
    rng = np.random.default_rng(seed)
    shuffled = {
        split: [some[i] for i in rng.permutation(len(some))]
        for split, some in leaky[0].items()
    }
    found = find_matches(MODEL, shuffled, parts=parts, num_partitions=num_partitions)
    assert found == expected


def test_matches_do_not_depend_on_the_runner(leaky, expected, find_matches):
    found = find_matches(MODEL, leaky[0], parts=3, runner=TWO_PROCESSES)
    assert found == expected


def test_many_copies_of_a_content_are_one_query(find_matches, to_record):
    row = np.arange(6.0)
    records = {
        "train": [to_record(row, i) for i in range(3_000)],
        "eval": [to_record(row + 5e-4, 10_000 + i) for i in range(3_000)],
    }
    (match,) = find_matches(MODEL, records, parts=2).values()
    assert match.reference_record_digest == min(map(record_digest, records["train"]))
    assert match.query_record_digest == min(map(record_digest, records["eval"]))


def test_a_crowd_of_near_duplicates_gives_each_query_one_match(find_matches, to_record):
    rng = np.random.default_rng(0)
    crowd = rng.uniform(0, 5e-4, (4_000, 6))
    records = [to_record(row, i) for i, row in enumerate(crowd)]
    splits = {"train": records[:2_000], "eval": records[2_000:]}
    assert len(find_matches(MODEL, splits)) == 2_000


@pytest.mark.parametrize(
    ("train", "queries", "matches"),
    [(0, 1, 0), (1, 0, 0), (0, 0, 0), (1, 1, 1)],
    ids=["no_reference", "no_query", "nothing", "one_of_each"],
)
def test_empty_splits_have_no_matches(train, queries, matches, find_matches, to_record):
    splits = {
        "train": [to_record(np.zeros(6))] * train,
        "eval": [to_record(np.full(6, 1e-4), 1)] * queries,
    }
    assert len(find_matches(MODEL, splits)) == matches


@dataclasses.dataclass(frozen=True)
class Strict(RowModel):
    """Finds the rows near that are a tenth as far as the samples' rows are."""

    def background(self, query_sample, reference_sample):
        apart = np.abs(query_sample[:, np.newaxis] - reference_sample).max(axis=-1)
        return float(apart.min()), len(query_sample), len(reference_sample)

    def verify(self, query, reference, background=None):
        similarity, _ = super().verify(query, reference)
        return similarity, np.abs(query - reference).max(axis=1) < background[0] / 10


def find_in(folder, model, examples, splits=("train", "eval")):
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = pipeline | beam.Create(examples) | FindCandidates(model, folder, splits)


def example(split, row, fingerprint, digest=b"digest.."):
    return split, fingerprint(row), digest, row


def test_the_background_is_computed_from_samples_without_copies(tmp_path, fingerprint):
    rng = np.random.default_rng(0)
    train, queries = rng.normal(size=(5_000, 6)), rng.normal(size=(300, 6))
    queries[:100] = train[:100]
    examples = [example("train", row, fingerprint) for row in train]
    examples += [example("eval", row, fingerprint) for row in queries]
    folder = str(tmp_path / "search")
    model = Strict((1e-3,) * 6)
    find_in(folder, model, examples)
    apart, num_queries, num_references = compute_background(model, folder)
    assert apart > 1e-3  # Copies are 0 apart.
    assert 150 < num_queries < 200
    assert num_references == 4_096


def test_the_background_reaches_the_comparison(leaky, find_matches):
    found = find_matches(Strict((1e-3,) * 6), leaky[0])
    # Near rows are closer than a tenth of what different ones are.
    assert len(found) < 120


def test_an_example_of_an_unknown_split_is_an_error(tmp_path, fingerprint):
    examples = [example("other", np.zeros(6), fingerprint)]
    with pytest.raises(Exception, match="one of the splits .*came from 'other'"):
        find_in(str(tmp_path / "search"), MODEL, examples)


@pytest.mark.parametrize("splits", [(), ("eval",), [*map(str, range(256)), "train"]])
def test_the_reference_must_be_one_of_at_most_256_splits(splits):
    with pytest.raises(ValueError, match="at most 256 names"):
        FindCandidates(MODEL, "folder", splits)


def test_a_record_that_does_not_come_again_is_an_error(
    tmp_path, to_record, fingerprint
):
    rows = {"train": np.zeros(6), "eval": np.full(6, 1e-4)}
    records = {split: to_record(row) for split, row in rows.items()}
    examples = [
        example(split, row, fingerprint, record_digest(records[split]))
        for split, row in rows.items()
    ]
    folder = str(tmp_path / "search")
    find_in(folder, MODEL, examples)
    assert count_candidates(folder) == 1
    for split in rows:
        with pytest.raises(Exception, match="did not come in the second"):
            with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
                _ = (
                    pipeline
                    | beam.Create([records[split]])
                    | VerifyCandidates(
                        MODEL, folder, lambda record: np.frombuffer(record[8:])
                    )
                )
