# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from components.leakage.config import LeakageConfig
from components.leakage.core import judge
from components.leakage.summary import Summary
from components.leakage.transforms import ParseExampleFn, SummarizeExamples


def new_pipeline():
    return beam.Pipeline(argv=["--runner=FnApiRunner"])


def create(pipeline, records, name="Create"):
    return {
        split: pipeline | f"{name} {split}" >> beam.Create(some)
        for split, some in records.items()
    }


def run(records, check, label_key="label", **options):
    """Summarizes the records, and calls `check` on the summary in the pipeline."""

    def matcher(texts):
        (text,) = texts
        check(Summary.from_json(text))

    with new_pipeline() as pipeline:
        summary = create(pipeline, records) | SummarizeExamples(label_key, **options)
        assert_that(summary, matcher)


def judged(summary, **config):
    return list(judge(summary, "label", LeakageConfig(**config)))


def test_untouched_digits_have_no_findings(digits):
    def check(summary):
        assert summary.num_examples == 1797
        assert judged(summary, ignore=("row",)) == []

    records = {"train": digits[:1437], "eval": digits[1437:]}
    run(records, check, ignore=("row",))


def test_planted_duplicates_are_found_and_nothing_else(digits):
    def check(summary):
        (finding,) = judged(summary, ignore=("row",))
        assert finding.cause == "duplicate_leakage"
        assert finding.blocks
        assert finding.measured == 25 / 385
        groups = finding.evidence["groups"]
        assert len(groups) == 10
        assert groups[0]["examples"] == {"eval": 6, "train": 1}
        assert groups[0]["rows"] == {"eval": ["row=0"], "train": ["row=0"]}
        assert {group["examples"]["eval"] for group in groups[1:]} == {1}

    leaked = digits[:20] + digits[:1] * 5
    records = {"train": digits[:1437], "eval": digits[1437:] + leaked}
    run(records, check, ignore=("row",))


def test_a_content_of_twenty_thousand_copies_is_one_group(example):
    def check(summary):
        (finding,) = judged(summary)
        assert finding.measured == 1
        (group,) = finding.evidence["groups"]
        assert group["examples"] == {"eval": 5_000, "train": 15_000}
        assert len(finding.to_json()) < 1_500

    copy = example(x=[1.0] * 8, label=1)
    records = {"train": [copy] * 15_000, "eval": [copy] * 5_000}
    run(records, check)


def test_conflicting_labels_are_found_across_and_within_splits(example):
    def check(summary):
        (finding,) = judged(summary)
        assert (finding.cause, finding.blocks) == ("conflicting_labels", False)
        assert finding.measured == 3 / 6
        assert finding.evidence["num_examples_by_split"] == {"train": 3, "eval": 0}
        (group,) = finding.evidence["groups"]
        assert group["labels"] == {"train": {"cat": 2, "dog": 1}}

    train = [example(x=1, label=[b"cat"])] * 2 + [example(x=1.0, label=[b"dog"])]
    others = [example(x=2, label=[b"dog"]), example(x=3, label=[b"dog"])]
    run({"train": train + others[:1], "eval": [others[1], example(x=4)]}, check)


def test_order_and_serialization_do_not_change_a_letter(example):
    rows = [
        {"x": float(n % 50), "y": [b"text"], "id": n, "label": n % 3}
        for n in range(300)
    ]
    forward = [example(**row) for row in rows]
    backward = [example(**dict(reversed(row.items()))) for row in reversed(rows)]

    def both_are_equal(texts):
        first, second = texts
        assert first == second

    with new_pipeline() as pipeline:
        summaries = [
            create(pipeline, {"train": records, "eval": records[100:200]}, name)
            | f"Summarize {name}" >> SummarizeExamples("label", ["id"])
            for name, records in {"forward": forward, "backward": backward}.items()
        ]
        assert_that(summaries | beam.Flatten(), both_are_equal)


def test_splits_without_records_are_counted_as_empty():
    def check(summary):
        assert [counts.examples for counts in summary.splits.values()] == [0, 0]

    run({"train": [], "eval": []}, check)


def test_what_keeps_examples_from_being_judged_is_counted(example):
    def check(summary):
        train, evaluated = summary.splits["train"], summary.splits["eval"]
        assert (train.examples, train.unreadable) == (3, 2)
        assert train.float_labels == 1
        assert train.missing == {"label": 1, "id": 1}
        assert train.without_content == 1
        assert (evaluated.examples, evaluated.missing) == (1, {"id": 1})
        assert summary.feature_names == ("id", "label", "x")

    train = [
        b"\xff",
        b"\xff\xff",
        example(x=1, label=0.5),
        example(x=2, id=3),
        example(label=1, id=3),
    ]
    run({"train": train, "eval": [example(x=1, label=1)]}, check, ignore=("id",))


def test_parsed_example_is_a_fingerprint_and_its_member(example):
    records = [example(x=1, id=1, label=4), example(x=1.0, id=2, label=5)]
    with new_pipeline() as pipeline:
        members = (
            pipeline
            | beam.Create(records)
            | beam.ParDo(ParseExampleFn("train", "label", ("id",)))
        )
        assert_that(
            members | beam.Values(),
            equal_to([("train", "4", "id=1"), ("train", "5", "id=2")]),
        )
        num_contents = (
            members | beam.Keys() | beam.Distinct() | beam.combiners.Count.Globally()
        )
        assert_that(num_contents, equal_to([1]), label="one content")


@pytest.mark.parametrize("split", ["eval", "a b", "1"])
def test_names_of_splits_are_free(example, split):
    def check(summary):
        assert summary.splits[split].shared_examples == 1

    run({"fit": [example(x=1)], split: [example(x=1)]}, check, reference_split="fit")
