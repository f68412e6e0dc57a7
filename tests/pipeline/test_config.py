# SPDX-License-Identifier: Apache-2.0
import textwrap

import pytest

from components.errors import InputError
from pipeline.config import load_config

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


TRANSFER = SMALLEST.replace('build: "model.py:build_model"', "transfer: {WHAT}")


def test_a_pretrained_base_stands_in_place_of_a_function(write):
    config = load_config(write(TRANSFER.replace("WHAT", "backbone: Xception")))
    assert config.model.build is None
    assert config.model.transfer.backbone == "Xception"
    assert config.model.transfer.weights == "imagenet"


@pytest.mark.parametrize("name", ["imagenet", "none"])
def test_names_of_weights_are_no_paths(write, name):
    what = f"backbone: Xception, weights: {name}"
    config = load_config(write(TRANSFER.replace("WHAT", what)))
    assert config.model.transfer.weights == name


def test_the_path_of_weights_starts_from_the_files_folder(write, tmp_path):
    what = "backbone: Xception, weights: base.weights.h5"
    config = load_config(write(TRANSFER.replace("WHAT", what)))
    assert config.model.transfer.weights == f"{tmp_path}/base.weights.h5"


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


def test_what_the_data_section_says_reaches_every_validator(write):
    config = load_config(
        write(SMALLEST.replace("species}", "species, ignore: [id], group: patient}"))
    )
    assert config.inputs.ignore == ("id", "patient")
    assert config.leakage_limits.group == "patient"
    assert config.leakage_limits.ignore == ("id",)
    assert config.feature_limits.label_key == "species"
    assert config.feature_limits.ignore == ("id", "patient")
    assert config.feature_limits.features is None


def test_a_model_of_pictures_is_judged_by_its_pictures(write):
    config = load_config(
        write(SMALLEST.replace("species}", "species, image: {height: 8, width: 8}}"))
    )
    assert config.feature_limits.features == ("image",)
    assert config.leakage_limits.image == "image"


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
            ["data.image.hight", "did you mean 'height'", "2 more problems"],
            id="unknown-key-in-an-optional-section",
        ),
        pytest.param(
            TRANSFER.replace("WHAT", "backbon: Xception"),
            ["model.transfer.backbon: ", "did you mean 'backbone'", "1 more problem)"],
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
        pytest.param(
            SMALLEST.replace('"}', '", transfer: {backbone: Xception}}'),
            ["model: ", "either 'build'", "or 'transfer'", "not both"],
            id="a-function-and-a-base",
        ),
        pytest.param(
            SMALLEST.replace('{build: "model.py:build_model"}', "{}"),
            ["model: ", "either 'build'", "or 'transfer'", "not neither"],
            id="neither-function-nor-base",
        ),
        pytest.param(
            TRANSFER.replace("WHAT", "backbone: Xception, unfreze: 1"),
            ["model.transfer.unfreze", "did you mean 'unfreeze'"],
            id="unknown-key-of-the-base",
        ),
        pytest.param(
            TRANSFER.replace("WHAT", "backbone: Xception, unfreeze: -1"),
            ["model.transfer.unfreeze: ", "stages from 0, or 'all'", "got -1"],
            id="stages-below-none",
        ),
        pytest.param(
            TRANSFER.replace("WHAT", "backbone: Xception, unfreeze: most"),
            ["model.transfer.unfreeze: ", "or 'all'", "got 'most'"],
            id="stages-in-words",
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
