# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.orchestration import data_types
from tfx.types import channel, standard_artifacts

from components.errors import InputError
from components.guarded_pusher.component import GuardedPusher

_MODEL = channel.Channel(type=standard_artifacts.Model)


def test_declares_a_pushed_model():
    pusher = GuardedPusher(
        model=_MODEL,
        model_blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
        destination="/srv/models",
    )
    assert pusher.id == "GuardedPusher"
    assert set(pusher.inputs) == {"model", "model_blessing"}
    assert pusher.outputs["pushed_model"].type is standard_artifacts.PushedModel
    assert pusher.exec_properties["destination"] == "/srv/models"


def test_needs_no_blessing_to_be_declared():
    assert set(GuardedPusher(model=_MODEL, destination="pushed").inputs) == {"model"}


@pytest.mark.parametrize("destination", ["", "gs://bucket/models"])
def test_refuses_at_once_what_is_no_folder(destination):
    with pytest.raises(InputError, match="destination"):
        GuardedPusher(model=_MODEL, destination=destination)


def test_takes_a_destination_that_is_known_when_it_runs():
    destination = data_types.RuntimeParameter(name="destination", ptype=str)
    assert GuardedPusher(model=_MODEL, destination=destination)


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_no_version_is_refused_at_once(keep):
    with pytest.raises(InputError, match="at least 1"):
        GuardedPusher(model=_MODEL, destination="pushed", keep_versions=keep)


@pytest.mark.parametrize("keep", [None, 1])
def test_the_number_of_versions_to_keep_is_handed_on(keep):
    pusher = GuardedPusher(model=_MODEL, destination="pushed", keep_versions=keep)
    assert pusher.exec_properties.get("keep_versions") == keep
