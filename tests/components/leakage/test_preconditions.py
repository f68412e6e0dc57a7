# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.leakage.config import LeakageConfig
from components.leakage.preconditions import require_features, require_usable
from components.leakage.summary import KeyCounts, Oddities, Place, Summary, Tally

PLACE = Place(file="a.gz", position=7, reason="zero bytes")


def summary(names=("species", "width"), train=None, evaluated=None, sizes=(6, 4)):
    splits = zip(("train", "eval"), sizes, strict=True)
    return Summary(
        contents=Tally(splits={split: KeyCounts(examples=n) for split, n in splits}),
        oddities={
            "train": Oddities(**train or {}),
            "eval": Oddities(**evaluated or {}),
        },
        feature_names=names,
    )


def check(counted, label_key="species", **config):
    require_usable(counted, label_key, LeakageConfig(**config))


def test_good_data_is_usable():
    check(summary())


def test_data_without_examples_is_left_to_the_judgement():
    check(summary(sizes=(0, 0)), time="day", group="patient")


def test_label_absent_from_every_example_is_refused_with_the_nearest_name():
    counted = summary(
        train={"missing": {"spezies": 6}}, evaluated={"missing": {"spezies": 4}}
    )
    with pytest.raises(InputError, match="did you mean 'species'") as raised:
        check(counted, "spezies")
    assert "label_key: 'spezies'" in str(raised.value)
    assert "'species', 'width'" in str(raised.value)


def test_label_present_in_one_example_is_usable():
    check(
        summary(
            train={"missing": {"species": 5}}, evaluated={"missing": {"species": 4}}
        )
    )


def test_ignored_feature_that_no_example_has_is_refused():
    counted = summary(train={"missing": {"row": 6}}, evaluated={"missing": {"row": 4}})
    with pytest.raises(InputError, match="ignore: 'row' must be a feature"):
        check(counted, ignore=("row",))


def test_names_in_a_message_are_bounded():
    names = tuple(f"feature_{n:04}" for n in range(1000))
    counted = summary(
        names, train={"missing": {"x": 6}}, evaluated={"missing": {"x": 4}}
    )
    with pytest.raises(InputError, match="and 980 more") as raised:
        check(counted, "x")
    assert len(str(raised.value)) < 1000


def test_examples_without_content_are_refused():
    counted = summary(train={"without_content": 6}, evaluated={"without_content": 4})
    with pytest.raises(InputError, match="none of 10 has one"):
        check(counted, ignore=("width",))


def test_examples_of_which_one_has_content_are_usable():
    check(summary(train={"without_content": 5}, evaluated={"without_content": 4}))


@pytest.mark.parametrize(
    ("unreadable", "limit", "is_usable"),
    [
        pytest.param(0, 0.0, True, id="none"),
        pytest.param(1, 0.0, False, id="one-where-none-is-allowed"),
        pytest.param(1, 0.2, True, id="exactly-at-the-limit"),
        pytest.param(2, 0.2, False, id="just-beyond-the-limit"),
    ],
)
def test_too_many_unreadable_records_are_refused(unreadable, limit, is_usable):
    odd = {"unreadable": unreadable, "unreadable_places": (PLACE,)}
    if is_usable:
        check(summary(evaluated=odd), max_unreadable_share=limit)
        return
    wanted = rf"split 'eval'.* {unreadable} of {4 + unreadable} records are not.*first:"
    with pytest.raises(InputError, match=wanted) as raised:
        check(summary(evaluated=odd), max_unreadable_share=limit)
    assert "record 7 of a.gz: zero bytes" in str(raised.value)


def test_split_of_nothing_but_unreadable_records_is_refused():
    odd = {"unreadable": 3, "unreadable_places": (PLACE,)}
    with pytest.raises(InputError, match="3 of 3 records are not"):
        check(summary(evaluated=odd, sizes=(6, 0)))


def test_label_that_is_no_text_is_refused_with_its_record():
    odd = {"odd_labels": 2, "odd_label_places": (PLACE,)}
    with pytest.raises(InputError, match="UTF-8 texts, but 2 .*record 7 of a.gz"):
        check(summary(evaluated=odd))


def test_times_of_two_kinds_are_refused():
    counted = summary(
        train={"time_kinds": {"text": 6}}, evaluated={"time_kinds": {"integer": 4}}
    )
    with pytest.raises(InputError, match="6 of kind text, 4 of kind integer"):
        check(counted, time="day")
    check(counted)


def test_times_of_which_not_one_can_be_read_are_refused():
    odd = {"odd_times": 4, "odd_time_places": (PLACE,)}
    with pytest.raises(InputError, match="not one can be read .first: record 7"):
        check(summary(evaluated=odd), time="day")


@pytest.mark.parametrize("role", ["group", "time", "image"])
def test_named_feature_that_no_example_has_is_refused(role):
    counted = summary(
        train={"missing": {"widht": 6}}, evaluated={"missing": {"widht": 4}}
    )
    with pytest.raises(InputError, match=f"{role}: 'widht' .*did you mean 'width'"):
        check(counted, **{role: "widht"})


def test_float_labels_are_refused():
    with pytest.raises(InputError, match="2 of 10 examples carry a float"):
        check(summary(evaluated={"float_labels": 2}))


def test_data_without_the_reference_split_are_refused():
    with pytest.raises(InputError, match="'trian' must be a split.*'train', 'eval'"):
        check(summary(), reference_split="trian")


def test_names_that_the_schema_lacks_are_refused():
    config = LeakageConfig(ignore=("id",))
    require_features(("id", "label", "x"), "label", config)
    with pytest.raises(InputError, match="label_key: 'lable'.*did you mean 'label'"):
        require_features(("id", "label", "x"), "lable", config)
    with pytest.raises(InputError, match="ignore: 'id'"):
        require_features(("label", "x"), "label", config)
