# SPDX-License-Identifier: Apache-2.0
import textwrap

import pytest

from components.errors import InputError
from pipeline.config import data_format, load_config, parse_config

SMALLEST = """
name: flowers
data: {path: data, label: species}
model: {build: "model.py:build_model"}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "guard.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_load_config_fills_in_defaults(write):
    config = load_config(write(SMALLEST))
    assert config.training.recalibrate_batch_norm
    assert config.evaluation.max_mode_gap == 0.05
    assert config.leakage.max_duplicate_share == 0


def test_relative_paths_start_from_the_files_folder(write, tmp_path):
    config = load_config(write(SMALLEST + "push: {destination: models}\n"))
    assert config.data.path == tmp_path / "data"
    assert config.model.build == f"{tmp_path}/model.py:build_model"
    assert config.output == tmp_path / "runs"
    assert config.destination == tmp_path / "models"


def test_destination_defaults_to_a_folder_of_the_output(write, tmp_path):
    assert load_config(write(SMALLEST)).destination == tmp_path / "runs" / "serving"


def test_an_import_path_is_no_file_path(write):
    config = load_config(write(SMALLEST.replace("model.py:", "shop.models:")))
    assert config.model.build == "shop.models:build_model"


def test_changes_overrule_the_file(write, tmp_path):
    config = load_config(write(SMALLEST), output=tmp_path / "elsewhere")
    assert config.output == tmp_path / "elsewhere"


def test_leakage_ignores_what_the_data_section_ignores(write):
    config = load_config(
        write(
            SMALLEST.replace("species}", "species, ignore: [id, path]}")
            + "leakage: {ignore: [path, time]}\n"
        )
    )
    assert config.leakage_limits.ignore == ("id", "path", "time")
    assert config.inputs.ignore == ("id", "path")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(
            SMALLEST + "trainig: {epochs: 3}\n",
            ["trainig: there is no such key", "did you mean 'training'"],
            id="unknown-section",
        ),
        pytest.param(
            SMALLEST + "training: {epoch: 3}\n",
            ["training.epoch: there is no such key", "did you mean 'epochs'"],
            id="unknown-key",
        ),
        pytest.param(
            SMALLEST.replace("label: species", "label: species, image: {hight: 8}"),
            ["data.image.hight", "did you mean 'height'", "3 more problems"],
            id="unknown-key-in-an-optional-section",
        ),
        pytest.param(
            SMALLEST.replace("label: species", "lable: species"),
            ["data.lable", "did you mean 'label'", "1 more problem)"],
            id="misspelt-key-that-is-required",
        ),
        pytest.param(
            SMALLEST + "evaluation: {xyzzy: 1}\n",
            ["evaluation.xyzzy", "known are", "max_mode_gap"],
            id="nothing-near",
        ),
        pytest.param(
            SMALLEST + "training: {epochs: 0}\n",
            ["training.epochs", "greater than or equal to 1", "got 0"],
            id="out-of-range",
        ),
        pytest.param(
            "name: flowers\nmodel: {build: m}\n",
            ["data: expected an entry", "missing"],
            id="missing-section",
        ),
        pytest.param("name: [\n", ["guard.yaml:", "expected YAML"], id="not-yaml"),
        pytest.param("", ["the file holds nothing"], id="empty-file"),
        pytest.param("- 1\n", ["the file holds list"], id="not-a-mapping"),
        pytest.param(
            SMALLEST.replace("name: flowers", "name: 'a b'"),
            ["name:", "'a b'"],
            id="bad-name",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(write, text, parts):
    path = write(text)
    with pytest.raises(InputError) as raised:
        load_config(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml.*no such file"):
        load_config(tmp_path / "nowhere.yaml")


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
