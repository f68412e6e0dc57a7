# SPDX-License-Identifier: Apache-2.0
"""Each component alone, plugged into a small pipeline of stock TFX components."""

import json
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

pytestmark = pytest.mark.slow

LABEL = "target"
BUILD_MODEL = f"{Path(__file__).with_name('stock_trainer.py')}:build_model"


class StockPipeline:
    """CsvExampleGen, StatisticsGen, SchemaGen, and what a test plugs in."""

    def __init__(self, folder):
        from tfx.components import CsvExampleGen, SchemaGen, StatisticsGen

        from components.class_balance.statistics import label_statistics_options

        self.folder = folder
        self.examples = CsvExampleGen(input_base=str(folder / "data"))
        self.statistics = StatisticsGen(
            examples=self.examples.outputs["examples"],
            stats_options=label_statistics_options(LABEL),
        )
        self.schema = SchemaGen(statistics=self.statistics.outputs["statistics"])

    def trainer(self, batch_norm=False):
        from tfx.components import Trainer
        from tfx.proto import trainer_pb2

        return Trainer(
            run_fn="stock_trainer.run_fn",
            custom_config={"batch_norm": batch_norm},
            examples=self.examples.outputs["examples"],
            schema=self.schema.outputs["schema"],
            train_args=trainer_pb2.TrainArgs(num_steps=1),
            eval_args=trainer_pb2.EvalArgs(num_steps=1),
        )

    def run(self, *plugged_in):
        """Runs the pipeline; what ran before with equal inputs comes from the cache."""
        from tfx.orchestration import metadata, pipeline
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        database = str(self.folder / "metadata.sqlite")
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="stock",
                pipeline_root=str(self.folder / "root"),
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    database
                ),
                components=[self.examples, self.statistics, self.schema, *plugged_in],
                enable_cache=True,
                beam_pipeline_args=[
                    "--runner=FnApiRunner",
                    "--sdk_container_image=none",
                ],
            )
        )

    def newest(self, node, key, name):
        """Returns the newest file of a node's output."""
        found = (self.folder / "root" / node / key).glob(f"*/{name}")
        return max(found, key=lambda path: int(path.relative_to(self.folder).parts[3]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    (folder / "data").mkdir()
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [f"f{i:02d}" for i in range(30)] + [LABEL]
    frame.to_csv(folder / "data" / "cancer.csv", index=False)
    sys.path.insert(0, str(Path(__file__).parent))
    yield folder
    sys.path.remove(str(Path(__file__).parent))


@pytest.fixture
def stock(folder):
    # Anew for each test: a node belongs to one pipeline. The folder is shared, so
    # that steps that ran before come from the cache.
    return StockPipeline(folder)


def read(path):
    return json.loads(path.read_text())


def test_class_balance_validator(stock):
    from components import ClassBalanceValidator

    stock.run(
        ClassBalanceValidator(
            statistics=stock.statistics.outputs["statistics"], label_key=LABEL
        )
    )
    table = read(
        stock.newest("ClassBalanceValidator", "class_weights", "class_weights.json")
    )
    assert table["labels"] == [0, 1]
    assert sum(table["train_counts"]) > 300
    assert table["weights"][0] > 1 > table["weights"][1]  # Malignant is the rarer.
    verdict = stock.newest("ClassBalanceValidator", "findings", "findings.json")
    assert read(verdict) == {"findings": []}


def test_leakage_validator(stock):
    from components import LeakageValidator

    stock.run(
        LeakageValidator(examples=stock.examples.outputs["examples"], label_key=LABEL)
    )
    verdict = stock.newest("LeakageValidator", "findings", "findings.json")
    assert read(verdict) == {"findings": []}


def test_guarded_trainer_before_a_stock_evaluator_and_pusher(stock):
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.components import Evaluator, Pusher
    from tfx.proto import pusher_pb2

    from components import GuardedTrainer
    from components.guarded_trainer.config import InputConfig, TrainingConfig

    trainer = GuardedTrainer(
        build_model=BUILD_MODEL,
        examples=stock.examples.outputs["examples"],
        schema=stock.schema.outputs["schema"],
        inputs=InputConfig(label_key=LABEL),
        config=TrainingConfig(epochs=10),
    )
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": 0.85})
    )
    evaluator = Evaluator(
        examples=stock.examples.outputs["examples"],
        model=trainer.outputs["model"],
        eval_config=config_pb2.EvalConfig(
            model_specs=[
                config_pb2.ModelSpec(label_key=LABEL, prediction_key="probabilities")
            ],
            slicing_specs=[config_pb2.SlicingSpec()],
            metrics_specs=[
                config_pb2.MetricsSpec(
                    metrics=[
                        config_pb2.MetricConfig(
                            class_name="SparseCategoricalAccuracy", threshold=threshold
                        )
                    ]
                )
            ],
        ),
    )
    served = stock.folder / "served_by_stock"
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem={"base_directory": str(served)}
        ),
    )
    stock.run(trainer, evaluator, pusher)
    assert len(list(served.glob("*/saved_model.pb"))) == 1


@pytest.mark.parametrize(
    ("batch_norm", "require_modes", "blessed", "causes"),
    [
        # Without moving statistics, training mode cannot do better.
        (False, True, True, []),
        (True, True, False, ["check_failed"]),
        (True, False, True, ["check_failed"]),
    ],
)
def test_guarded_evaluator_after_a_stock_trainer(
    stock, batch_norm, require_modes, blessed, causes
):
    from components import GuardedEvaluator, GuardedPusher
    from components.guarded_evaluator.config import EvaluationConfig

    trainer = stock.trainer(batch_norm)
    evaluator = GuardedEvaluator(
        examples=stock.examples.outputs["examples"],
        model=trainer.outputs["model"],
        label_key=LABEL,
        config=EvaluationConfig(require_modes=require_modes),
    )
    served = stock.folder / f"served_{batch_norm}_{require_modes}"
    pusher = GuardedPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        destination=str(served),
    )
    stock.run(trainer, evaluator, pusher)
    blessing = read(stock.newest("GuardedEvaluator", "blessing", "blessing.json"))
    assert blessing["blessed"] is blessed
    assert [f["cause"] for f in blessing["verdict"]["findings"]] == causes
    assert len(list(served.glob("*/guard.json"))) == int(blessed)


def test_latest_blessed_model_after_a_push(stock):
    from components import LatestBlessedModel, registry

    served = str(stock.folder / "served_False_True")
    stock.run(
        LatestBlessedModel(destination=served, registry_state=registry.state(served))
    )
    model = stock.newest("LatestBlessedModel", "model", "Format-Serving/saved_model.pb")
    assert model.is_file()


def test_report_of_a_blessing(stock):
    from components import GuardedEvaluator, Report

    trainer = stock.trainer(batch_norm=True)
    evaluator = GuardedEvaluator(
        examples=stock.examples.outputs["examples"],
        model=trainer.outputs["model"],
        label_key=LABEL,
    )
    stock.run(trainer, evaluator, Report(blessing=evaluator.outputs["blessing"]))
    page = stock.newest("Report", "report", "report.html").read_text(encoding="utf-8")
    assert "Blocked" in page
    assert "check_failed" in page
