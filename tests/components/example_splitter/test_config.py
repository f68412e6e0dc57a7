# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.example_splitter.config import By, SplitConfig


def test_defaults_split_by_content():
    config = SplitConfig()
    assert config.by is By.CONTENT
    assert config.no_content == ()
    assert (config.train_split, config.eval_split) == ("train", "eval")


def test_group_and_time_are_no_content():
    config = SplitConfig(ignore=("id", "day"), group="patient", time="day")
    assert config.no_content == ("id", "day", "patient")


def test_settings_survive_json():
    config = SplitConfig(by="group", group="patient", salt="x", eval_share=1 / 3)
    assert SplitConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"by": "group"}, "`group`"),
        ({"by": "time", "group": "g"}, "`time`"),
        ({"by": "label"}, "'content', 'group' or 'time'"),
        ({"eval_share": 0}, "greater than 0"),
        ({"eval_share": 1}, "less than 1"),
        ({"eval_split": "train"}, "must differ"),
        ({"eval_split": "a/b"}, "pattern"),
        ({"image": "x", "ignore": ("x",)}, "must be content"),
        ({"share": 0.5}, "Extra inputs"),
    ],
)
def test_senseless_settings_are_refused(wrong, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        SplitConfig(**wrong)
