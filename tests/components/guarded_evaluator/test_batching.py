# SPDX-License-Identifier: Apache-2.0
import ast
import collections

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_evaluator.batching import (
    SampleAndShuffleIntoBatches,
    content_hash,
    cut_batches,
    last_hash_in_sample,
    plan_batches,
)


@pytest.fixture
def sampled():
    """What the last run marked as the sample of each split."""
    return collections.defaultdict(list)


@pytest.fixture
def run(tmp_path, sampled):
    """Runs the transform; returns the batches of each split, in a fixed order."""

    def execute(examples, batch_size, num_parts=1, samples=None, **max_examples):
        path = tmp_path / f"batches-{len(list(tmp_path.iterdir()))}"
        with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
            parts = [
                pipeline | f"Create{i}" >> beam.Create(examples[i::num_parts])
                for i in range(num_parts)
            ]
            _ = (
                parts
                | beam.Flatten()
                | SampleAndShuffleIntoBatches(batch_size, max_examples, samples)
                | beam.Map(lambda batch: repr(tuple(batch)))
                | beam.io.WriteToText(str(path), shard_name_template="")
            )
        batches = collections.defaultdict(list)
        for line in path.read_text().splitlines():
            split, batch, num_sampled = ast.literal_eval(line)
            batches[split].append(batch)
            sampled[split] += batch[:num_sampled]
        return {split: sorted(found) for split, found in batches.items()}

    return execute


def rows(count, split="eval"):
    return [(split, f"row {i:06}".encode()) for i in range(count)]


def flat(batches):
    return sorted(row for batch in batches for row in batch)


def test_each_example_is_in_one_batch_of_the_promised_size(run):
    examples = [*rows(1000, "train"), *rows(333, "eval"), *rows(5, "small")]
    batches = run(examples, 8)
    for split, count in (("train", 1000), ("eval", 333), ("small", 5)):
        assert flat(batches[split]) == [row for _, row in rows(count)]
    sizes = {len(batch) for batch in batches["train"] + batches["eval"]}
    assert min(sizes) >= 8
    assert max(sizes) <= 15
    assert [len(batch) for batch in batches["small"]] == [5]


def test_batches_are_the_same_for_any_order_and_sharding(run):
    examples = [*rows(300, "train"), *rows(90, "eval"), *rows(30, "eval")]
    shuffled = [examples[i] for i in np.random.default_rng(0).permutation(420)]
    assert (
        run(examples, 16, train=100)
        == run(shuffled, 16, num_parts=7, train=100)
        == run(examples[::-1], 16, num_parts=2, train=100)
    )


@pytest.mark.parametrize("wanted", [1, 500, 2999, 3000, 10_000])
def test_about_as_many_are_kept_as_wished_for(run, wanted):
    batches = run([*rows(3000, "train"), *rows(50, "eval")], 32, train=wanted)
    kept, expected = len(flat(batches.get("train", []))), min(wanted, 3000)
    # Four standard deviations of a binomial count.
    assert abs(kept - expected) <= 4 * np.sqrt(expected * (1 - expected / 3000))
    assert len(flat(batches["eval"])) == 50


def test_all_of_a_hundred_copies_are_kept_and_spread(run):
    examples = [*rows(300), *[("eval", b"copy")] * 100]
    batches = run(examples, 8)["eval"]
    copies = [batch.count(b"copy") for batch in batches]
    assert sum(copies) == 100
    assert flat(batches).count(b"row 000007") == 1
    # A batch of nothing but copies would have no statistics.
    assert max(copies) < min(map(len, batches))


def test_copies_are_sampled_one_by_one(run):
    kept = run([("train", b"all the same")] * 2000, 8, train=1000)["train"]
    assert 900 < len(flat(kept)) < 1100


def test_rows_sorted_by_class_end_in_mixed_batches(run):
    examples = [
        ("eval", f"{label} {i}".encode()) for label in "abc" for i in range(300)
    ]
    batches = run(examples, 30)["eval"]
    for batch in batches:
        shares = np.bincount([b"abc".index(row[0]) for row in batch]) / len(batch)
        assert len(shares) == 3
        assert shares.min() > 0.05


def test_nothing_makes_no_batches(run):
    assert run([], 8) == {}


@pytest.mark.parametrize("size", [0, -1])
def test_refuses_a_batch_size_that_is_none(size):
    with pytest.raises(ValueError, match=f"batch_size={size}"):
        SampleAndShuffleIntoBatches(size, {})


def hashes_of(contents):
    copies = collections.Counter()
    found = []
    for content in contents:
        found.append(content_hash(content, copies[content]))
        copies[content] += 1
    return np.array(found, np.int64)


@pytest.mark.parametrize("most", [None, 0, 1, 150, 1200, 5000])
def test_the_plan_is_what_is_cut(run, most):
    contents = [row for _, row in rows(1100)] + [b"copy"] * 100
    batches = run(
        [("train", content) for content in contents],
        4,
        num_parts=3,
        **({} if most is None else {"train": most}),
    )
    plan = plan_batches(hashes_of(contents), 4, most)
    planned = [[contents[i] for i in positions] for positions in plan]
    assert sorted(planned) == batches.get("train", [])


@pytest.mark.parametrize("size", [0, 1, 20, 300, 5000])
def test_a_sample_is_marked_wherever_it_is(run, sampled, size):
    contents = [row for _, row in rows(300)] + [b"copy"] * 20
    examples = [("eval", content) for content in contents]
    hashes = hashes_of(contents)
    run([*examples, *rows(50, "train")], 8, num_parts=4, samples={"eval": size})
    chosen = np.flatnonzero(hashes <= last_hash_in_sample(len(hashes), size))
    assert sorted(sampled["eval"]) == sorted(contents[i] for i in chosen)
    assert sampled["train"] == []
    wanted = min(size, 320)
    assert abs(len(chosen) - wanted) <= 4 * np.sqrt(wanted * (1 - wanted / 320))


@given(
    st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=200),
    st.integers(1, 9),
    st.integers(0, 300),
)
def test_a_plan_keeps_what_is_sampled_and_its_sizes(hashes, batch_size, most):
    hashes = np.array(hashes, np.int64)
    plan = plan_batches(hashes, batch_size, most)
    positions = np.concatenate([*plan, np.zeros(0, np.int64)])
    kept = hashes <= last_hash_in_sample(len(hashes), most)
    assert sorted(positions) == sorted(np.flatnonzero(kept))
    assert np.all(np.diff(hashes[positions]) > 0)
    sizes = [len(batch) for batch in plan]
    assert all(size < 2 * batch_size for size in sizes)


def test_a_plan_of_nothing_is_empty():
    assert plan_batches(np.zeros(0, np.int64), 4) == []
    assert last_hash_in_sample(0, 5) == -1
    with pytest.raises(ValueError, match="batch_size=0"):
        plan_batches(np.zeros(0, np.int64), 0)


@given(st.integers(0, 200), st.integers(1, 50))
def test_a_bucket_is_cut_into_batches_of_nearly_equal_size(count, batch_size):
    bucket = [(content_hash(row), row) for _, row in rows(count)]
    batches = list(cut_batches(bucket, batch_size))
    assert flat(batches) == sorted(bucket)
    sizes = [len(batch) for batch in batches]
    if count:
        assert max(sizes) - min(sizes) <= 1
    if count >= batch_size:
        assert batch_size <= min(sizes)
        assert max(sizes) < 2 * batch_size


@given(st.lists(st.binary(max_size=8)), st.randoms())
def test_a_bucket_in_any_order_is_cut_the_same(contents, random):
    bucket = [(content_hash(row, i), row) for i, row in enumerate(contents)]
    shuffled = random.sample(bucket, len(bucket))
    assert list(cut_batches(iter(shuffled), 4)) == list(cut_batches(bucket, 4))


def test_hashes_are_uniform_and_differ_by_copy():
    hashes = [content_hash(b"row", copy) for copy in range(4000)]
    assert len(set(hashes)) == 4000
    counts, _ = np.histogram(np.array(hashes) / 2**63, bins=8, range=(0, 1))
    assert counts.sum() == 4000
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500))
