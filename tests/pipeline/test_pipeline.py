# SPDX-License-Identifier: Apache-2.0
import pytest

from components.code_version import code_sha256
from components.errors import InputError
from pipeline.config import parse_config
from pipeline.pipeline import create_pipeline, make_example_gen


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


def test_the_pipeline_has_these_steps_and_edges(config):
    nodes = {node.id: node for node in create_pipeline(config).components}
    edges = {
        name: {upstream.id for upstream in node.upstream_nodes}
        for name, node in nodes.items()
    }
    # All that follows the data waits for their verdict.
    validators = {"ClassBalanceValidator", "LeakageValidator"}
    assert edges == {
        "CsvExampleGen": set(),
        "StatisticsGen": {"CsvExampleGen"},
        "SchemaGen": {"StatisticsGen"},
        "ExampleValidator": {"StatisticsGen", "SchemaGen"},
        "ClassBalanceValidator": {"StatisticsGen"},
        "LeakageValidator": {"CsvExampleGen"},
        "GuardedTrainer": {"CsvExampleGen", "SchemaGen", *validators},
        "LatestBlessedModel": set(),
        "GuardedEvaluator": {
            "CsvExampleGen",
            "GuardedTrainer",
            "LatestBlessedModel",
            *validators,
        },
        "GuardedPusher": {
            "CsvExampleGen",
            "GuardedTrainer",
            "GuardedEvaluator",
            *validators,
        },
        "Report": {"GuardedTrainer", "GuardedEvaluator", "GuardedPusher", *validators},
    }


def test_training_waits_for_the_validators_unless_told_otherwise(config):
    anyway = config.model_copy(update={"train_on_blocked_data": True})
    nodes = {node.id: node for node in create_pipeline(anyway).components}
    upstream = {node.id for node in nodes["GuardedTrainer"].upstream_nodes}
    assert "LeakageValidator" not in upstream


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


@pytest.mark.parametrize(
    ("share", "num_eval"), [(0.2, 200), (0.0001, 1), (0.9999, 999)]
)
def test_the_split_leaves_no_side_empty(config, share, num_eval):
    data = config.data.model_copy(update={"eval_share": share})
    output = make_example_gen(data).exec_properties["output_config"]
    assert f'"hash_buckets": {num_eval}' in output
    assert f'"hash_buckets": {1000 - num_eval}' in output


def test_folders_train_and_eval_are_the_splits(config, tmp_path):
    for split in ("train", "eval"):
        (tmp_path / "data" / split).mkdir()
        (tmp_path / "data" / split / "a.csv").write_text("x,y\n1,0\n")
    example_gen = make_example_gen(config.data)
    assert "train/*" in example_gen.exec_properties["input_config"]
    assert "hash_buckets" not in str(example_gen.exec_properties["output_config"])


def test_a_missing_data_folder_is_refused(config, tmp_path):
    data = config.data.model_copy(update={"path": tmp_path / "nowhere"})
    with pytest.raises(InputError, match="nowhere: expected a folder"):
        make_example_gen(data)


def test_new_code_of_ours_is_not_served_old_results(config):
    nodes = create_pipeline(config).components
    ours = [node for node in nodes if type(node).__module__.startswith("components.")]
    assert len(ours) == 7
    for node in ours:
        assert node.exec_properties["code_sha256"] == code_sha256()
