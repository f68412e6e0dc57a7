# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.leakage.config import LeakageConfig
from components.leakage.preconditions import require_features, require_usable
from components.leakage.summary import SplitCounts, Summary


def summary(names=("species", "width"), **counts):
    splits = {"train": SplitCounts(examples=6), "eval": SplitCounts(examples=4)}
    for split in splits:
        splits[split] = splits[split].model_copy(update=counts.get(split, {}))
    return Summary(splits=splits, feature_names=names)


def check(counted, label_key="species", **config):
    require_usable(counted, label_key, LeakageConfig(**config))


def test_good_data_is_usable():
    check(summary())


def test_data_without_examples_is_left_to_the_judgement():
    none = {"examples": 0}
    check(summary(train=none, eval=none))


def test_label_absent_from_every_example_is_refused_with_the_nearest_name():
    counted = summary(
        train={"missing": {"spezies": 6}}, eval={"missing": {"spezies": 4}}
    )
    with pytest.raises(InputError, match="did you mean 'species'") as raised:
        check(counted, "spezies")
    assert "label_key: 'spezies'" in str(raised.value)
    assert "'species', 'width'" in str(raised.value)


def test_label_present_in_one_example_is_usable():
    check(summary(train={"missing": {"species": 5}}, eval={"missing": {"species": 4}}))


def test_ignored_feature_that_no_example_has_is_refused():
    counted = summary(train={"missing": {"row": 6}}, eval={"missing": {"row": 4}})
    with pytest.raises(InputError, match="ignore: 'row' must be a feature"):
        check(counted, ignore=("row",))


def test_names_in_a_message_are_bounded():
    names = tuple(f"feature_{n:04}" for n in range(1000))
    counted = summary(names, train={"missing": {"x": 6}}, eval={"missing": {"x": 4}})
    with pytest.raises(InputError, match="and 980 more") as raised:
        check(counted, "x")
    assert len(str(raised.value)) < 1000


def test_examples_without_content_are_refused():
    counted = summary(train={"without_content": 6}, eval={"without_content": 4})
    with pytest.raises(InputError, match="none of 10 has one"):
        check(counted, ignore=("width",))


def test_examples_of_which_one_has_content_are_usable():
    check(summary(train={"without_content": 5}, eval={"without_content": 4}))


def test_record_that_cannot_be_read_is_refused_with_its_split():
    with pytest.raises(InputError, match=r"split 'eval'.* 1 of 5 records are not"):
        check(summary(eval={"unreadable": 1}))


def test_float_labels_are_refused():
    with pytest.raises(InputError, match="2 of 10 examples carry a float"):
        check(summary(eval={"float_labels": 2}))


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
