# SPDX-License-Identifier: Apache-2.0
import hashlib
import socket

import keras
import numpy as np
import pytest

from components.errors import InputError
from components.guarded_trainer.transfer import backbones
from components.guarded_trainer.transfer.settings import TransferConfig

# Families that bring pixels to order themselves, inside the model.
INSIDE = ("ConvNeXt", "EfficientNet", "MobileNetV3")


def test_keras_offers_the_well_known_ones():
    known = {"Xception", "ResNet50", "EfficientNetB0", "MobileNetV2", "VGG16"}
    assert known < set(backbones.names())
    assert len(backbones.names()) >= 40


@pytest.mark.parametrize("name", backbones.names())
def test_each_has_the_preprocessing_of_its_family(name):
    backbone = backbones.find(name)
    pixels = np.array([[[[0.0, 0, 0], [255, 0, 0], [0, 0, 255]]]], np.float32)
    black, red, blue = np.asarray(backbone.preprocess(pixels.copy()))[0, 0]
    if name.startswith(INSIDE):
        np.testing.assert_array_equal([black, red, blue], pixels[0, 0])
        return
    assert black.max() < 0 < red.max()
    # The channel that red lies in comes first, or, for weights of Caffe, last.
    is_bgr = name.startswith(("VGG", "ResNet")) and not name.endswith("V2")
    assert red.argmax() == (2 if is_bgr else 0)
    assert blue.argmax() == (0 if is_bgr else 2)


@pytest.mark.parametrize("name", backbones.names())
def test_each_refuses_pictures_that_are_too_small_before_it_is_built(name):
    backbone = backbones.find(name)
    least = 75 if "Inception" in name else 71 if name == "Xception" else 32
    assert backbone.min_size == least
    with pytest.raises(InputError) as raised:
        backbone.build(least - 1, 200, None, {})
    message = str(raised.value)
    assert f"at least {least}x{least} pixels for {name}" in message
    assert f"they are {least - 1}x200" in message
    assert f"{{height: {least}, width: 200}}" in message


@pytest.mark.parametrize("name", backbones.names())
def test_options_never_name_what_the_plan_decides(name):
    decided = {"weights", "include_top", "input_shape", "classes", "pooling", "name"}
    assert not decided & set(backbones.find(name).options)


def test_a_misspelt_backbone_is_told_the_nearest():
    with pytest.raises(InputError, match=r"no 'resnet_50'; did you mean 'ResNet50'\?"):
        backbones.check(TransferConfig(backbone="resnet_50"))


def test_something_quite_else_is_told_what_there_is():
    with pytest.raises(InputError, match=r"known are .*ConvNeXtBase.* and \d+ more"):
        backbones.check(TransferConfig(backbone="zzzzzz"))


@pytest.mark.parametrize("name", ["keras", "resnet", "__doc__", "imagenet_utils"])
def test_a_module_of_keras_is_no_backbone(name):
    with pytest.raises(InputError, match="there is no"):
        backbones.find(name)


def test_an_option_is_checked():
    backbones.check(TransferConfig(backbone="MobileNet", options={"alpha": 0.25}))
    with pytest.raises(InputError, match=r"no 'alfa'; did you mean 'alpha'\?"):
        backbones.check(TransferConfig(backbone="MobileNet", options={"alfa": 1}))
    with pytest.raises(InputError, match="no 'alpha'; leave it out"):
        backbones.check(TransferConfig(backbone="VGG16", options={"alpha": 1}))


def test_an_option_that_keras_refuses_is_refused():
    with pytest.raises(InputError, match=r"MobileNet can be built with.*correct"):
        backbones.find("MobileNet").build(32, 32, None, {"depth_multiplier": "no"})


def test_weights_that_cannot_be_downloaded_say_the_way_out(monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    # Nor may the file be there already.
    home = "keras.src.backend.config.keras_home"
    monkeypatch.setattr(home, lambda: str(tmp_path))
    before = socket.getdefaulttimeout()
    with pytest.raises(InputError) as raised:
        backbones.find("MobileNet").build(32, 32, "imagenet", {"alpha": 0.5})
    message = str(raised.value)
    assert "download the ImageNet weights of MobileNet" in message
    assert "~/.keras/models" in message
    assert "\n" not in message
    assert socket.getdefaulttimeout() == before


def test_other_files_of_an_efficientnet_are_taken(tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"mine")
    backbones.refuse_official_file(backbones.find("EfficientNetB0"), str(path))


def test_the_official_file_of_an_efficientnet_is_asked_for_by_name(
    tmp_path, monkeypatch
):
    # Keras gives this family one more layer where the weights are called `imagenet`.
    path = tmp_path / "efficientnetb0_notop.h5"
    path.write_bytes(b"official")
    module = backbones.family(keras.applications.EfficientNetB0)
    md5 = hashlib.md5(b"official", usedforsecurity=False).hexdigest()
    monkeypatch.setattr(module, "WEIGHTS_HASHES", {"b0": ("", md5)})
    with pytest.raises(InputError, match="write `weights: imagenet`"):
        backbones.refuse_official_file(backbones.find("EfficientNetB0"), str(path))
    # The others are the same with and without the name.
    backbones.refuse_official_file(backbones.find("MobileNet"), str(path))
