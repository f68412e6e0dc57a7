# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.example_splitter.config import By
from pipeline.config import parse_config
from pipeline.data import data_format

SIZE = {"height": 8, "width": 8}


@pytest.fixture
def data(tmp_path):
    def data(*names, **entries):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        content = {
            "name": "n",
            "data": {"path": "data", "label": "y", **entries},
            "model": {"build": "m"},
        }
        return parse_config(content, "guard.yaml", tmp_path).data

    return data


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.csv"], "csv"),
        (["a.CSV"], "csv"),
        (["a.tfrecord.gz", "b.tfrecords"], "tfrecord"),
        (["a.parquet", "README.md"], "parquet"),
        (["train/a.csv", "eval/b.csv"], "csv"),
    ],
)
def test_format_is_told_by_the_endings(data, names, expected):
    assert data_format(data(*names)) == expected


def test_format_can_be_set_for_files_of_any_ending(data):
    assert data_format(data("part-00000-of-00001", format="tfrecord")) == "tfrecord"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"data: expected a folder with data files, but there is nothing"),
        (["a.txt"], r"expected data files ending in .*but there are none"),
        (["a.csv", "b.parquet"], r"of one format, but there are csv and parquet"),
        (["train/a.csv", "eval/b.txt"], r"eval: expected data files"),
    ],
)
def test_data_of_no_known_format_are_refused(data, names, message):
    with pytest.raises(InputError, match=message):
        data_format(data(*names))


@pytest.mark.parametrize(
    "names",
    [
        ["cat/a.png", "dog/b.JPG"],
        ["train/cat/a.png", "eval/cat/b.png", "eval/dog/c.gif"],
    ],
)
def test_a_folder_of_pictures_is_seen_as_such(data, names):
    assert data_format(data(*names)) == "images"


def test_pictures_need_the_size_that_the_model_wants(data):
    with pytest.raises(InputError, match=r"data\.image.*is missing; set"):
        _ = data("cat/a.png", "dog/b.png").pictures


def test_pictures_are_read_under_the_names_of_the_configuration(data, tmp_path):
    pictures = data(
        "cat/a.png",
        "dog/b.png",
        image={"feature": "photo", **SIZE},
        metadata="about.csv",
        max_undecodable_share=0.2,
        on_unmatched="ignore",
    ).pictures
    assert (pictures.label_key, pictures.image_key) == ("y", "photo")
    assert pictures.metadata == str(tmp_path / "about.csv")
    assert (pictures.max_undecodable_share, pictures.on_unmatched) == (0.2, "ignore")


def test_what_is_known_beside_a_picture_is_no_content(data, tmp_path):
    (tmp_path / "about.csv").write_text("path,camera,patient\na.png,x,1\n")
    config = data(
        "cat/a.png", "dog/b.png", image=SIZE, metadata="about.csv", group="patient"
    )
    assert config.no_content == ("path", "camera")
    assert config.split.ignore == ("path", "camera")


def test_metadata_that_cannot_be_read_are_named(data, tmp_path):
    config = data("cat/a.png", "dog/b.png", image=SIZE, metadata="about.csv")
    with pytest.raises(InputError, match=r"about\.csv.*data\.metadata"):
        _ = config.no_content


def test_other_data_are_told_apart_by_all_but_what_is_ignored(data):
    assert data("a.csv", ignore=["id"]).no_content == ("id",)


@pytest.mark.parametrize(
    ("entries", "by"),
    [
        ({}, By.CONTENT),
        ({"group": "patient"}, By.GROUP),
        ({"time": "visit"}, By.TIME),
    ],
)
def test_what_is_named_splits_the_data(data, entries, by):
    split = data("a.csv", ignore=["id"], eval_share=0.3, **entries).split
    assert (split.by, split.eval_share, split.ignore) == (by, 0.3, ("id",))
    assert (split.group, split.time) == (entries.get("group"), entries.get("time"))


def test_group_and_time_may_both_be_named_where_the_data_are_split(data):
    config = data("train/a.csv", "eval/a.csv", group="patient", time="visit")
    assert config.no_input == ("patient", "visit")


def test_group_and_time_cannot_both_split(data):
    with pytest.raises(InputError, match=r"group: patient.*time: visit.*`ignore`"):
        _ = data("a.csv", group="patient", time="visit").split
