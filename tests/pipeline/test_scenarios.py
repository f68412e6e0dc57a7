# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from pipeline.scenarios.catalogue import SCENARIOS, find_scenario, make_config


@pytest.fixture
def output(tmp_path):
    (tmp_path / "data").mkdir()  # Data are there already: none are written.
    return tmp_path


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_scenario_has_a_valid_configuration(name, output):
    config = make_config(find_scenario(name), output, mended=False)
    assert config.name == name
    assert config.data.path == output / "data"
    assert config.output == output


def test_the_mended_variant_differs_in_its_cure_alone(output):
    scenario = find_scenario("batchnorm-gap")
    broken = make_config(scenario, output, mended=False)
    mended = make_config(scenario, output, mended=True)
    assert not broken.training.recalibrate_batch_norm
    assert mended.training.recalibrate_batch_norm
    cure = {"recalibrate_batch_norm": False}
    assert mended.training.model_copy(update=cure) == broken.training
    assert mended.evaluation == broken.evaluation


def test_an_unknown_scenario_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'batchnorm-gap'"):
        find_scenario("batchnorm")


def test_a_sound_scenario_has_nothing_to_mend(output):
    with pytest.raises(InputError, match=r"--mended.*'digits' is sound"):
        make_config(find_scenario("digits"), output, mended=True)
