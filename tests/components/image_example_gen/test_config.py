# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest

from components.content.pictures import MAX_PIXELS
from components.image_example_gen.config import ImageExampleGenConfig


def test_round_trip_through_json():
    config = ImageExampleGenConfig(
        splits={"train": "training", "eval": "validation"},
        metadata="photos/métadonnées.csv",
        max_undecodable_share=0,
    )
    assert ImageExampleGenConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "settings",
    [
        {"label_key": ""},
        {"label_key": "image"},
        {"path_key": "label"},
        {"splits": {"train,eval": "train"}},
        {"splits": {"train": ""}},
        {"splits": {"train": "."}},
        {"splits": {"train": "../other"}},
        {"splits": {"train": "/data"}},
        {"splits": {"train": "a", "eval": "./a/"}},
        {"whole_split": ""},
        {"metadata": ""},
        {"on_unmatched": "guess"},
        {"max_undecodable_share": -0.01},
        {"max_undecodable_share": 1.01},
        {"max_undecodable_share": float("nan")},
        {"min_side": 0},
        {"max_pixels": 0},
        {"max_pixels": MAX_PIXELS + 1},
        {"max_pixel": 100},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(pydantic.ValidationError):
        ImageExampleGenConfig(**settings)
