# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest
from tfx.dsl.experimental.conditionals import conditional

from components.code_version import code_sha256
from components.errors import InputError
from components.example_splitter.config import SplitConfig
from components.guarded_trainer.transfer.settings import TransferConfig
from components.leakage.config import LeakageConfig
from pipeline.config import parse_config
from pipeline.pipeline import create_pipeline, make_example_gen, make_example_steps


@pytest.fixture
def config(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x,y\n1,0\n")
    (tmp_path / "model.py").write_text("def build_model(context): ...\n")
    content = {
        "name": "shop",
        "data": {"path": "data", "label": "y"},
        "model": {"build": "model.py"},
    }
    return parse_config(content, "guard.yaml", tmp_path)


VALIDATORS = {"ClassBalanceValidator", "FeatureValidator", "LeakageValidator"}


def edges_of(config):
    nodes = {node.id: node for node in create_pipeline(config).components}
    return {
        name: {upstream.id for upstream in node.upstream_nodes}
        for name, node in nodes.items()
    }


def test_the_pipeline_has_these_steps_and_edges(config):
    # All that follows the data waits for their verdict.
    assert edges_of(config) == {
        "CsvExampleGen": set(),
        "ExampleSplitter": {"CsvExampleGen"},
        "LeakageValidator": {"ExampleSplitter"},
        "StatisticsGen": {"ExampleSplitter"},
        "SchemaGen": {"StatisticsGen"},
        "ExampleValidator": {"StatisticsGen", "SchemaGen"},
        "ClassBalanceValidator": {"StatisticsGen"},
        "FeatureValidator": {"StatisticsGen", "ExampleValidator"},
        "DataReport": VALIDATORS,
        "GuardedTrainer": {"ExampleSplitter", "SchemaGen", *VALIDATORS},
        "LatestBlessedModel": set(),
        "GuardedEvaluator": {
            "ExampleSplitter",
            "GuardedTrainer",
            "LatestBlessedModel",
            *VALIDATORS,
        },
        "GuardedPusher": {
            "ExampleSplitter",
            "GuardedTrainer",
            "GuardedEvaluator",
            *VALIDATORS,
        },
        "Report": {"GuardedTrainer", "GuardedEvaluator", "GuardedPusher", *VALIDATORS},
    }


def test_in_quarantine_nothing_sees_the_examples_that_leak(config):
    leakage = LeakageConfig(quarantine=True)
    edges = edges_of(config.model_copy(update={"leakage": leakage}))
    readers = {name for name, above in edges.items() if "ExampleSplitter" in above}
    assert readers == {"LeakageValidator"}
    assert edges["StatisticsGen"] == {"LeakageValidator"}


def test_the_report_on_the_data_waits_for_no_condition(config):
    pipeline = create_pipeline(config)
    conditions = {
        node.id: conditional.get_predicates(node, pipeline.dsl_context_registry)
        for node in pipeline.components
    }
    assert len(conditions["Report"]) == len(VALIDATORS)
    assert not conditions["DataReport"]


def test_training_waits_for_the_validators_unless_told_otherwise(config):
    anyway = config.model_copy(update={"train_on_blocked_data": True})
    nodes = {node.id: node for node in create_pipeline(anyway).components}
    upstream = {node.id for node in nodes["GuardedTrainer"].upstream_nodes}
    assert "LeakageValidator" not in upstream


def test_a_pretrained_base_stands_in_place_of_a_function(config, tmp_path):
    def trainer_of(weights):
        transfer = TransferConfig(backbone="Xception", weights=weights)
        model = config.model.model_copy(update={"build": None, "transfer": transfer})
        pipeline = create_pipeline(config.model_copy(update={"model": model}))
        nodes = {node.id: node for node in pipeline.components}
        return transfer, nodes["GuardedTrainer"].exec_properties

    transfer, properties = trainer_of("imagenet")
    assert TransferConfig.from_json(properties["transfer"]) == transfer
    assert properties["build_model"] == properties["weights_sha256"] == ""
    (tmp_path / "base.h5").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert trainer_of(str(tmp_path / "base.h5"))[1]["weights_sha256"] == digest
    with pytest.raises(InputError, match=r"no file 'gone\.h5'"):
        trainer_of("gone.h5")


def test_every_finding_reaches_the_evaluator(config):
    nodes = {node.id: node for node in create_pipeline(config).components}
    producers = {
        channel.producer_component_id
        for key, channel in nodes["GuardedEvaluator"].inputs.items()
        if key.endswith("_findings")
    }
    with_findings = {name for name, n in nodes.items() if "findings" in n.outputs}
    assert producers == with_findings - {"GuardedEvaluator"}


def test_the_only_way_to_production_is_through_the_evaluator(config):
    nodes = {node.id: node for node in create_pipeline(config).components}
    blessing = nodes["GuardedPusher"].inputs["model_blessing"]
    assert blessing.producer_component_id == "GuardedEvaluator"


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("a.csv", "CsvExampleGen"),
        ("a.tfrecord.gz", "ImportExampleGen"),
        ("a.parquet", "ParquetExampleGen"),
    ],
)
def test_the_format_decides_the_example_gen(config, tmp_path, name, node):
    (tmp_path / "data" / "a.csv").unlink()
    (tmp_path / "data" / name).write_bytes(b"")
    assert make_example_gen(config.data).id == node


def test_what_is_not_split_is_read_as_one_and_split_by_content(config):
    example_gen, splitter = make_example_steps(config.data)
    assert '"name": "all"' in example_gen.exec_properties["output_config"]
    assert SplitConfig.from_json(splitter.exec_properties["config"]).by == "content"


@pytest.mark.parametrize("by", ["group", "time"])
def test_a_named_group_or_time_splits_the_data(config, by):
    data = config.data.model_copy(update={by: "x"})
    _, splitter = make_example_steps(data)
    split = SplitConfig.from_json(splitter.exec_properties["config"])
    assert (split.by, getattr(split, by)) == (by, "x")


def test_group_and_time_together_are_refused(config):
    data = config.data.model_copy(update={"group": "x", "time": "t"})
    with pytest.raises(InputError, match="group: x.*time: t.*ignore"):
        make_example_steps(data)


def test_folders_train_and_eval_are_the_splits(config, tmp_path):
    for split in ("train", "eval"):
        (tmp_path / "data" / split).mkdir()
        (tmp_path / "data" / split / "a.csv").write_text("x,y\n1,0\n")
    [example_gen] = make_example_steps(config.data)
    assert "train/*" in example_gen.exec_properties["input_config"]
    assert "hash_buckets" not in str(example_gen.exec_properties["output_config"])


def test_a_missing_data_folder_is_refused(config, tmp_path):
    data = config.data.model_copy(update={"path": tmp_path / "nowhere"})
    with pytest.raises(InputError, match="nowhere: expected a folder"):
        make_example_gen(data)


def test_new_code_of_ours_is_not_served_old_results(config):
    nodes = create_pipeline(config).components
    ours = [node for node in nodes if type(node).__module__.startswith("components.")]
    assert len(ours) == 10
    for node in ours:
        assert node.exec_properties["code_sha256"] == code_sha256()
