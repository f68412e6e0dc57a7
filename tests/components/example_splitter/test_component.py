# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.types import channel, standard_artifacts

import components
from components.errors import InputError
from components.example_splitter.component import ExampleSplitter
from components.example_splitter.config import SplitConfig


@pytest.fixture
def examples():
    return channel.Channel(type=standard_artifacts.Examples)


def test_component_declares_what_it_reads_and_writes(examples):
    config = SplitConfig(by="group", group="patient")
    splitter = ExampleSplitter(examples=examples, label_key="label", config=config)
    assert splitter.id == "ExampleSplitter"
    assert set(splitter.inputs) == {"unsplit_examples"}
    assert splitter.outputs["examples"].type is standard_artifacts.Examples
    assert splitter.exec_properties["label_key"] == "label"
    assert SplitConfig.from_json(splitter.exec_properties["config"]) == config
    assert splitter.exec_properties["code_sha256"]


def test_content_is_the_default(examples):
    splitter = ExampleSplitter(examples=examples, label_key="label")
    assert (
        SplitConfig.from_json(splitter.exec_properties["config"]).by.value == "content"
    )


@pytest.mark.parametrize("label_key", ["", "path", "patient"])
def test_label_must_be_a_feature_of_its_own(examples, label_key):
    config = SplitConfig(by="group", group="patient", ignore=("path",))
    with pytest.raises(InputError, match="`label_key`"):
        ExampleSplitter(examples=examples, label_key=label_key, config=config)


def test_component_is_exported_by_the_package():
    assert components.ExampleSplitter is ExampleSplitter
