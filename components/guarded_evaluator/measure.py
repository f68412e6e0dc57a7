# SPDX-License-Identifier: Apache-2.0
"""Measures a model in all its modes, on all splits, in one Beam pass with TFMA."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.metrics import metric
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.guarded_evaluator import metrics
from components.guarded_evaluator.batching import SampleAndShuffleIntoBatches
from components.labels import LabelValue
from components.records.evaluation import CANDIDATE

SPLIT_FEATURE = "guard_split"
CLASS_ID_FEATURE = "guard_class_id"
"""Features added beside the example's own, so that TFMA can slice by split and read
class ids whatever the labels are. The bytes that the models see are untouched."""

_METRICS = (
    "ConfusionCounts",
    "PredictedClassShares",
    "DeadClasses",
    "OutputSpread",
    "MeanLogLoss",
    "NumNotFinite",
)


@dataclasses.dataclass(frozen=True)
class JudgedModel:
    """One model, or one mode of it, that is asked about every example.

    Attributes:
      name: One of the names in `components.records.evaluation`.
      path: Folder of the SavedModel.
      signature: Signature that takes serialized tf.Examples.
      prediction_key: Name of the signature's output with probabilities; "" where it
        has but one output, which TFMA unpacks by itself.
    """

    name: str
    path: str
    signature: str
    prediction_key: str = ""


def make_eval_config(models: Sequence[JudgedModel]) -> config_pb2.EvalConfig:
    """Returns what TFMA is asked: our metrics of every model, sliced by split."""
    names = [model.name for model in models]
    specs = [
        config_pb2.ModelSpec(
            name=model.name,
            model_type=tfma.constants.TF_GENERIC,
            signature_name=model.signature,
            label_key=CLASS_ID_FEATURE,
            prediction_key=model.prediction_key,
        )
        for model in models
    ]
    metrics_specs = [
        config_pb2.MetricsSpec(
            model_names=names,
            metrics=[
                config_pb2.MetricConfig(class_name=name, module=metrics.__name__)
                for name in _METRICS
            ],
        )
    ]
    if len(models) > 1:
        metrics_specs.append(
            config_pb2.MetricsSpec(
                model_names=names,
                metrics=[
                    config_pb2.MetricConfig(
                        class_name="PairedOutcomes",
                        module=metrics.__name__,
                        config=f'"reference": "{CANDIDATE}"',
                    )
                ],
            )
        )
    return config_pb2.EvalConfig(
        model_specs=specs,
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=[SPLIT_FEATURE])],
        metrics_specs=metrics_specs,
    )


def evaluate(
    pipeline: beam.Pipeline,
    split_patterns: Mapping[str, Sequence[str]],
    models: Sequence[JudgedModel],
    label_key: str,
    labels: Sequence[LabelValue],
    batch_size: int,
    max_examples: Mapping[str, int],
    output_path: str,
) -> None:
    """Adds the evaluation to a Beam pipeline; TFMA writes its files when it runs.

    Args:
      pipeline: Beam pipeline; running it is up to the caller.
      split_patterns: File patterns of the TFRecords of each split, such as one per
        span.
      models: The candidate, its modes and the baseline.
      label_key: Name of the label feature.
      labels: Label values; the class id of a label is its position.
      batch_size: Batch size of training.
      max_examples: Most examples to keep of each split; all of those not named.
      output_path: Folder for TFMA's files.
    """
    eval_config = make_eval_config(models)
    splits = [
        pipeline
        | f"Read[{split}][{i}]" >> beam.io.ReadFromTFRecord(pattern)
        | f"Name[{split}][{i}]"
        >> beam.Map(lambda serialized, split=split: (split, serialized))
        for split, patterns in split_patterns.items()
        for i, pattern in enumerate(patterns)
    ]
    (
        splits
        | "Flatten" >> beam.Flatten()
        | "Batch" >> SampleAndShuffleIntoBatches(batch_size, max_examples)
        | "ToRecordBatch" >> beam.ParDo(_ToRecordBatch(LabelReader(label_key, labels)))
        | "ExtractEvaluateAndWriteResults"
        >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=eval_config,
            eval_shared_model=[
                tfma.default_eval_shared_model(
                    eval_saved_model_path=model.path,
                    model_name=model.name,
                    eval_config=eval_config,
                )
                for model in models
            ],
            output_path=output_path,
        )
    )


def check_batches(result: beam.runners.runner.PipelineResult) -> None:
    """Makes sure that no batch was asked about example by example.

    TFMA does so where a batch does not fit into memory. The batch statistics of one
    example mean nothing: training mode would look bad, and a gap would hide.

    Raises:
      InputError: If it happened.
    """
    wanted = metric.MetricsFilter().with_name("batch_size_failed")
    found = result.metrics().query(wanted)[metric.MetricResults.DISTRIBUTIONS]
    failed = sum(entry.result.count for entry in found)
    if failed:
        raise InputError(
            f"{failed} batches: expected the model to answer whole batches, but TFMA "
            "had to ask about each of their examples alone, which makes batch "
            "statistics meaningless; give the workers more memory, or train with "
            "smaller batches"
        )


class LabelReader:
    """Turns the labels of decoded examples into class ids."""

    def __init__(self, label_key: str, labels: Sequence[LabelValue]):
        """Constructs the reader.

        Args:
          label_key: Name of the label feature.
          labels: Label values; the class id of a label is its position.
        """
        self._label_key = label_key
        # Texts are bytes in tf.Examples.
        self._class_ids = {
            label.encode() if isinstance(label, str) else label: class_id
            for class_id, label in enumerate(labels)
        }

    def read(self, decoded: pa.RecordBatch, split: str) -> list[int]:
        """Returns the class id of each row.

        Args:
          decoded: What TFX's decoder makes of serialized tf.Examples.
          split: Name of their split, for messages.

        Raises:
          InputError: If an example has no label, several, or one of no class.
        """
        position = decoded.schema.get_field_index(self._label_key)
        if position < 0:
            raise InputError(
                f"split {split!r}: expected the label {self._label_key!r}, but the "
                f"examples hold {', '.join(decoded.schema.names[:8])}; correct "
                "`label_key`, or evaluate on labelled examples"
            )
        return [
            self._class_id(values, split)
            for values in decoded.column(position).to_pylist()
        ]

    def _class_id(self, values: list[Any] | None, split: str) -> int:
        value = values[0] if values and len(values) == 1 else None
        if value not in self._class_ids:
            raise InputError(
                f"split {split!r}: expected one of the model's "
                f"{len(self._class_ids)} classes as {self._label_key!r}, but an "
                f"example carries {str(values)[:100]}; train on all classes, or drop "
                "the example"
            )
        return self._class_ids[value]


class _ToRecordBatch(beam.DoFn):
    """Decodes a batch as TFX does, and adds its split and class ids as features."""

    def __init__(self, labels: LabelReader):
        self._labels = labels

    def setup(self) -> None:
        self._decoder = example_coder.ExamplesToRecordBatchDecoder()

    def process(self, batch: tuple[str, list[bytes]]) -> Iterator[pa.RecordBatch]:
        split, serialized = batch
        decoded = self._decoder.DecodeBatch(serialized)
        class_ids = self._labels.read(decoded, split)
        columns = {
            **dict(zip(decoded.schema.names, decoded.columns, strict=True)),
            tfma.constants.ARROW_INPUT_COLUMN: _each(serialized, pa.large_binary()),
            SPLIT_FEATURE: _each([split.encode()] * len(serialized), pa.large_binary()),
            CLASS_ID_FEATURE: _each(class_ids, pa.int64()),
        }
        yield pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _each(values: Sequence[object], dtype: pa.DataType) -> pa.Array:
    """Returns an Arrow column that holds a list of one value in each row."""
    offsets = pa.array(np.arange(len(values) + 1), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, pa.array(values, dtype))
