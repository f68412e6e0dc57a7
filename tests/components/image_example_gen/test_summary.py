# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.summary import (
    MAX_NAMED,
    Named,
    Summary,
    Tally,
    merge_counts,
    require_usable,
)

GOOD = {"train": {"cat": 60, "dog": 30}, "eval": {"cat": 5, "dog": 4}}


def named(*names):
    return Named(count=len(names), first=names)


def require(summary, **config):
    config = ImageExampleGenConfig(metadata="m.csv", **config)
    require_usable(summary, "photos", config)


def test_tally_counts_all_and_keeps_the_first_names():
    tally = Tally()
    for number in reversed(range(5000)):
        tally.add(f"{number:04}", "undecodable")
    tally.add("x", "rewritten", "webp")
    facts = dict(tally.facts())
    count, names = facts["undecodable",]
    assert (count, names) == (5000, [f"{n:04}" for n in range(MAX_NAMED)])
    assert facts["rewritten", "webp"] == (1, ["x"])


@pytest.mark.parametrize("cut", [0, 1, 13, 50])
def test_counts_do_not_depend_on_sharding(cut):
    names = [f"{n:02}" for n in range(50)]
    shards = [names[:cut], names[cut:]]
    counts = []
    for shard in shards:
        tally = Tally()
        for name in shard:
            tally.add(name, "animated")
        counts += [counted for _, counted in tally.facts()]
    assert merge_counts(counts) == (50, names[:MAX_NAMED])
    assert merge_counts([merge_counts(counts[:1]), *counts[1:]]) == merge_counts(counts)


def test_merging_nothing():
    assert merge_counts([]) == (0, [])


def test_facts_fill_a_summary():
    found = Summary(examples=GOOD, other_files=named("a.txt"))
    facts = [
        (["example", "train", "cat"], [2, ["a", "b"]]),
        (["rewritten", "webp"], [1, ["a"]]),
        (["undecodable"], [1, ["c (zero bytes)"]]),
    ]
    read = found.with_facts(facts)
    assert read.examples == {
        "train": {"cat": 2, "dog": 0},
        "eval": {"cat": 0, "dog": 0},
    }
    assert read.rewritten == {"webp": named("a")}
    assert read.undecodable == named("c (zero bytes)")
    assert read.other_files == named("a.txt")
    assert (read.num_examples, read.num_pictures) == (2, 3)
    assert Summary.from_json(read.to_json()) == read


def test_one_line_says_it_all():
    text = str(
        Summary(
            examples=GOOD,
            rewritten={"webp": named("a.webp")},
            other_files=named("1", "2", "3", "4"),
        )
    )
    assert text == (
        "99 examples (train 90, eval 9); rewritten as PNG (webp) 1: a.webp; "
        "other files 4: 1, 2, 3, ..."
    )


def test_only_what_is_hidden_may_be_left_out_unnoticed():
    assert not Summary(examples=GOOD, hidden=named(".x"), animated=named("a")).is_lossy
    assert Summary(examples=GOOD, undecodable=named("a")).is_lossy
    assert Summary(examples=GOOD, other_files=named("a")).is_lossy


def test_good_examples_are_usable():
    require(Summary(examples=GOOD))


def test_undecodable_pictures_up_to_the_limit_are_usable():
    # 99 examples and 1 picture that cannot be decoded: exactly 1 %.
    require(Summary(examples=GOOD, undecodable=named("a")))
    with pytest.raises(InputError, match=r"0.01 of .*2 of 101 are: a, b; "):
        require(Summary(examples=GOOD, undecodable=named("a", "b")))
    with pytest.raises(InputError, match="at most 0 of .*1 of 100"):
        require(Summary(examples=GOOD, undecodable=named("a")), max_undecodable_share=0)


def test_first_undecodable_pictures_are_named():
    many = Named(count=30, first=tuple("abcdefgh"))
    with pytest.raises(InputError, match="30 of 129 are: a, b, c, d, e, ...; mend"):
        require(Summary(examples=GOOD, undecodable=many))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({"train": {"cat": 1, "dog": 2}, "eval": {"cat": 0}}, "split 'eval'.*none"),
        ({"all": {"cat": 1, "dog": 0, "emu": 0}}, "none of 'dog', 'emu'"),
        ({"all": {"cat": 0, "dog": 0}}, "split 'all'"),
    ],
    ids=["empty-split", "empty-class", "nothing"],
)
def test_empty_splits_and_classes_are_refused(examples, message):
    with pytest.raises(InputError, match=message):
        require(Summary(examples=examples))


def test_class_that_is_in_another_split_is_left_to_the_class_balance():
    require(
        Summary(examples={"train": {"cat": 1, "dog": 2}, "eval": {"cat": 1, "dog": 0}})
    )


@pytest.mark.parametrize("field", ["unmatched_pictures", "unmatched_rows"])
def test_unmatched_is_refused_unless_ignored(field):
    summary = Summary(examples=GOOD, **{field: named("a.png")})
    with pytest.raises(InputError, match="m.csv: .*1: a.png; .*`on_unmatched`"):
        require(summary)
    require(summary, on_unmatched="ignore")


@pytest.mark.parametrize("field", ["ambiguous_rows", "repeated_rows"])
def test_contradictions_are_refused_always(field):
    with pytest.raises(InputError, match="m.csv: .*1: a.png; "):
        require(
            Summary(examples=GOOD, **{field: named("a.png")}), on_unmatched="ignore"
        )
