# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from tfx.types import channel, standard_artifacts

import components
from components.artifacts import GuardFindings
from components.leakage.component import LeakageValidator
from components.leakage.config import LeakageConfig


def test_component_declares_what_it_reads_and_writes():
    config = LeakageConfig(ignore=("image_path",))
    leakage = LeakageValidator(
        examples=channel.Channel(type=standard_artifacts.Examples),
        schema=channel.Channel(type=standard_artifacts.Schema),
        label_key="species",
        config=config,
    )
    assert leakage.id == "LeakageValidator"
    assert set(leakage.inputs) == {"all_examples", "schema"}
    assert leakage.outputs["findings"].type is GuardFindings
    assert leakage.outputs["anomalies"].type is standard_artifacts.ExampleAnomalies
    assert leakage.exec_properties["label_key"] == "species"
    assert LeakageConfig.from_json(leakage.exec_properties["config"]) == config


def test_schema_and_config_may_be_left_out():
    leakage = LeakageValidator(
        examples=channel.Channel(type=standard_artifacts.Examples), label_key="species"
    )
    assert set(leakage.inputs) == {"all_examples"}
    config = json.loads(leakage.exec_properties["config"])
    assert config["max_duplicate_share"] == 0


@pytest.mark.parametrize("quarantine", [True, False])
def test_clean_examples_are_an_output_only_on_request(quarantine):
    leakage = LeakageValidator(
        examples=channel.Channel(type=standard_artifacts.Examples),
        label_key="species",
        config=LeakageConfig(quarantine=quarantine),
    )
    outputs = {"findings", "anomalies"} | ({"examples"} if quarantine else set())
    assert set(leakage.outputs) == outputs
    for name in outputs - {"findings", "anomalies"}:
        assert leakage.outputs[name].type is standard_artifacts.Examples


def test_component_is_exported_by_the_package():
    assert components.LeakageValidator is LeakageValidator
