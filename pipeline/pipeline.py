# SPDX-License-Identifier: Apache-2.0
"""The guarded pipeline: which steps there are, and what each is given."""

import contextlib

from tfx.components import (
    CsvExampleGen,
    ExampleValidator,
    ImportExampleGen,
    SchemaGen,
    StatisticsGen,
)
from tfx.dsl.components.base import base_component
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder import placeholder
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import example_gen_pb2

from components import (
    ClassBalanceValidator,
    DataReport,
    ExampleSplitter,
    FeatureValidator,
    GuardedEvaluator,
    GuardedPusher,
    GuardedTrainer,
    ImageExampleGen,
    LatestBlessedModel,
    LeakageValidator,
    ParquetExampleGen,
    Report,
    registry,
)
from components.class_balance.statistics import label_statistics_options
from pipeline.config import GuardConfig
from pipeline.data import DataConfig, data_format


def create_pipeline(config: GuardConfig) -> tfx_pipeline.Pipeline:
    """Wires the steps of the guarded pipeline.

    Raises:
      InputError: If the data folder or the model's file cannot be used.
    """
    reading = make_example_steps(config.data)
    examples = reading[-1].outputs["examples"]
    leakage = LeakageValidator(
        examples=examples, label_key=config.data.label, config=config.leakage_limits
    )
    if config.leakage.quarantine:
        examples = leakage.outputs["examples"]
    statistics_gen = StatisticsGen(
        examples=examples, stats_options=label_statistics_options(config.data.label)
    )
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = SchemaGen(statistics=statistics)
    schema = schema_gen.outputs["schema"]
    example_validator = ExampleValidator(statistics=statistics, schema=schema)
    class_balance = ClassBalanceValidator(
        statistics=statistics, label_key=config.data.label, config=config.class_balance
    )
    features = FeatureValidator(
        statistics=statistics,
        anomalies=example_validator.outputs["anomalies"],
        config=config.feature_limits,
    )
    data_findings = {
        "class_balance_findings": class_balance.outputs["findings"],
        "feature_findings": features.outputs["findings"],
        "leakage_findings": leakage.outputs["findings"],
    }
    # Outside of the gates below: data that stop the run have a report, too.
    data_report = DataReport(
        **data_findings,
        class_weights=class_balance.outputs["class_weights"],
        title=config.name,
    )
    latest_blessed_model = LatestBlessedModel(
        destination=str(config.destination),
        registry_state=registry.state(str(config.destination)),
    )
    with contextlib.ExitStack() as gates:
        if not config.train_on_blocked_data:
            for validator in (class_balance, features, leakage):
                gates.enter_context(conditional.Cond(_passed(validator)))
        trainer = GuardedTrainer(
            build_model=config.model.build,
            transfer=config.model.transfer,
            examples=examples,
            schema=schema,
            class_weights=class_balance.outputs["class_weights"],
            inputs=config.inputs,
            config=config.training,
        )
        evaluator = GuardedEvaluator(
            examples=examples,
            model=trainer.outputs["model"],
            label_key=config.data.label,
            baseline_model=latest_blessed_model.outputs["model"],
            model_run=trainer.outputs["model_run"],
            training_findings=trainer.outputs["findings"],
            **data_findings,
            config=config.evaluation,
        )
        pusher = GuardedPusher(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            class_weights=class_balance.outputs["class_weights"],
            examples=examples,
            destination=str(config.destination),
            keep_versions=config.push.keep_versions,
        )
        report = Report(
            blessing=evaluator.outputs["blessing"],
            evaluation=evaluator.outputs["evaluation"],
            model_run=trainer.outputs["model_run"],
            class_weights=class_balance.outputs["class_weights"],
            pushed_model=pusher.outputs["pushed_model"],
            **data_findings,
            title=config.name,
        )
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(config.output / "artifacts"),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(config.output / "metadata.sqlite")
        ),
        components=[
            *reading,
            leakage,
            statistics_gen,
            schema_gen,
            example_validator,
            class_balance,
            features,
            data_report,
            trainer,
            latest_blessed_model,
            evaluator,
            pusher,
            report,
        ],
        enable_cache=True,
        beam_pipeline_args=list(config.beam_args),
    )


def _passed(validator: base_component.BaseComponent) -> placeholder.Predicate:
    """Returns the condition that a validator has found nothing that blocks."""
    findings = validator.outputs["findings"].future()[0]
    return findings.custom_property("passed") == 1


def make_example_steps(data: DataConfig) -> list[base_component.BaseComponent]:
    """Returns the steps that read the data and split them; the last has the result.

    Raises:
      InputError: If the folder is missing or holds no data files, or cannot be split
        as wished.
    """
    example_gen = make_example_gen(data)
    if data.is_split:
        return [example_gen]
    splitter = ExampleSplitter(
        examples=example_gen.outputs["examples"],
        label_key=data.label,
        config=data.split,
    )
    return [example_gen, splitter]


def make_example_gen(data: DataConfig) -> base_component.BaseComponent:
    """Returns the ExampleGen for the format of the data: TFX's own, but for pictures.

    Without sub-folders `train` and `eval` it writes a single split.

    Raises:
      InputError: If the folder is missing or holds no data files.
    """
    kind = data_format(data)
    if kind == "images":
        return ImageExampleGen(input_base=str(data.path), config=data.pictures)
    settings = {
        "input_base": str(data.path),
        "input_config": _input_config(data),
        "output_config": None if data.is_split else _single_split(),
    }
    if kind == "csv":
        return CsvExampleGen(**settings)
    if kind == "parquet":
        return ParquetExampleGen(**settings)
    return ImportExampleGen(**settings)


def _input_config(data: DataConfig) -> example_gen_pb2.Input:
    splits = {"train": "train/*", "eval": "eval/*"} if data.is_split else {"all": "*"}
    return example_gen_pb2.Input(
        splits=[
            example_gen_pb2.Input.Split(name=name, pattern=pattern)
            for name, pattern in splits.items()
        ]
    )


def _single_split() -> example_gen_pb2.Output:
    """Keeps all records together; the ExampleSplitter comes next."""
    everything = example_gen_pb2.SplitConfig.Split(name="all", hash_buckets=1)
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(splits=[everything])
    )
