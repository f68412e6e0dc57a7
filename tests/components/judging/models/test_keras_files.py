# SPDX-License-Identifier: Apache-2.0
import json
import zipfile

import keras
import numpy as np
import pytest

from components.errors import InputError
from components.judging.models import keras_files


@pytest.fixture(scope="module")
def saved(tmp_path_factory, lagging):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    lagging.save(path)
    return path


@pytest.fixture
def save(tmp_path):
    def write(*layers, name="model.keras"):
        path = tmp_path / name
        keras.Sequential(list(layers)).save(path)
        return path

    return write


@pytest.fixture
def edit(saved, tmp_path):
    """Writes the saved model again with other members."""

    def write(**members):
        path = tmp_path / "edited.keras"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                key = name.partition(".")[0]
                content = members.get(key, old.read(name))
                if content is not None:
                    new.writestr(name, content, zipfile.ZIP_DEFLATED)
        return path

    return write


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def refusal(path):
    with pytest.raises(InputError) as raised:
        keras_files.load(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "expected" in message
    assert len(message) < 900
    return message


def test_a_file_gives_the_model_that_was_saved(saved, lagging, blobs):
    model = keras_files.load(saved)
    (x, _), _ = blobs
    np.testing.assert_array_equal(model(x), lagging(x))
    assert not model.compiled


def test_a_lambda_layer_is_refused(save):
    path = save(keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x))
    assert "a Lambda layer" in refusal(path)


def test_a_lambda_layer_is_refused_also_where_safe_mode_was_switched_off(save):
    path = save(keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x))
    from keras.src.saving import serialization_lib

    with serialization_lib.SafeModeScope(False):
        assert "a Lambda layer" in refusal(path)


def test_a_layer_of_the_users_own_is_refused_by_name(save):
    path = save(keras.Input((3,)), Doubled())
    message = refusal(path)
    assert "needs code to be loaded" in message
    assert "Doubled)" in message


def test_a_layer_that_was_registered_in_this_process_is_loaded(save, monkeypatch):
    registered = keras.saving.get_custom_objects()
    monkeypatch.setitem(registered, "Doubled", Doubled)
    path = save(keras.Input((3,)), Doubled())
    assert keras_files.load(path)(np.ones((1, 3))).numpy().tolist() == [[2, 2, 2]]


def test_a_class_of_another_module_is_not_imported(saved, edit, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][1].update(
        module="os", class_name="system", registered_name=None
    )
    assert "os.system" in refusal(edit(config=json.dumps(config)))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_a_file_that_is_cut_off_is_refused(saved, tmp_path, share):
    content = saved.read_bytes()
    path = tmp_path / "cut.keras"
    path.write_bytes(content[: int(len(content) * share)])
    assert "cut off" in refusal(path)


def test_a_file_with_a_wrong_byte_is_refused(saved, tmp_path):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 255
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


@pytest.mark.parametrize("name", ["config", "model"])
def test_an_archive_without_a_member_is_refused(edit, name):
    assert "expected 'config.json' and 'model.weights.h5'" in refusal(
        edit(**{name: None})
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}"])
def test_a_broken_configuration_is_refused(edit, content):
    refusal(edit(config=content))


def test_weights_that_are_no_weights_are_refused(edit):
    refusal(edit(model=b"not HDF5"))


def test_a_member_that_unpacks_to_far_more_is_refused(edit, monkeypatch):
    monkeypatch.setattr(keras_files, "_LARGE", 1 << 10)
    assert "unpack to at most 100 times" in refusal(edit(model=bytes(1 << 20)))


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been")
def test_a_model_that_was_never_built_is_refused(tmp_path):
    path = tmp_path / "unbuilt.keras"
    keras.Sequential([keras.layers.Dense(2)]).save(path)
    assert "before it was built" in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "there is nothing" in refusal(tmp_path / "absent.keras")
    assert "there is a folder" in refusal(tmp_path)
