# SPDX-License-Identifier: Apache-2.0
"""Measures a model in all its modes, on all splits, in one Beam pass with TFMA."""

import dataclasses
import functools
import json
import os
from collections.abc import Mapping, Sequence

import apache_beam as beam
import tensorflow_model_analysis as tfma
from apache_beam.metrics import metric
from tensorflow_model_analysis.extractors import predictions_extractor
from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.io import fileio

from components.errors import InputError
from components.guarded_evaluator import metrics, slicing
from components.guarded_evaluator.batching import Batch, SampleAndShuffleIntoBatches
from components.guarded_evaluator.extractors import (
    BatchSliceKeyExtractor,
    PerturbedPredictionsExtractor,
)
from components.guarded_evaluator.models import JudgedModel
from components.guarded_evaluator.perturbing import survey as perturbing
from components.guarded_evaluator.perturbing.changes import CHANGE_NAMES
from components.guarded_evaluator.reading import SPLIT_FEATURE as SPLIT_FEATURE
from components.guarded_evaluator.reading import LabelReader as LabelReader
from components.guarded_evaluator.reading import SerializedExtractor, ToExtracts
from components.labels import LabelValue
from components.records.evaluation import CANDIDATE, PERTURBED_PREFIX, UnjudgedSlice

_LABEL = "guard_class_id"
_SLICES_FILE = "guard_slices.json"


@dataclasses.dataclass(frozen=True)
class Slicing:
    """By which features the splits are sliced.

    Attributes:
      features: Names of the features.
      max_values: Most values of one feature; one with more is left out.
    """

    features: tuple[str, ...] = ()
    max_values: int = 100


@dataclasses.dataclass(frozen=True)
class Perturbing:
    """How many examples are asked about again with harmless changes.

    Attributes:
      train_split: Split that tells which changes suit the data.
      eval_split: Split whose examples are changed.
      max_examples: Most of its examples (in expectation) to change.
    """

    train_split: str
    eval_split: str
    max_examples: int


def make_eval_config(
    models: Sequence[JudgedModel],
    slices: Sequence[str] = (),
    perturbed: Sequence[str] = (),
) -> config_pb2.EvalConfig:
    """Returns what TFMA is asked: our metrics of every model, sliced by split.

    Args:
      models: The candidate, its modes and the baseline.
      slices: Features to slice each split by.
      perturbed: Names under which the candidate is asked about changed examples, and
        is compared with itself only.
    """
    names = [model.name for model in models]
    specs = [
        config_pb2.ModelSpec(
            name=model.name,
            model_type=tfma.constants.TF_GENERIC,
            signature_name=model.signature,
            label_key=_LABEL,
            prediction_key=model.prediction_key,
        )
        for model in models
    ]
    specs += [config_pb2.ModelSpec(name=name, label_key=_LABEL) for name in perturbed]
    metrics_specs = [
        config_pb2.MetricsSpec(
            model_names=names,
            metrics=[
                config_pb2.MetricConfig(class_name=name, module=metrics.__name__)
                for name in metrics.OF_ONE_MODEL
            ],
        )
    ]
    if len(specs) > 1:
        metrics_specs.append(
            config_pb2.MetricsSpec(
                model_names=[*names, *perturbed],
                metrics=[
                    config_pb2.MetricConfig(
                        class_name=name,
                        module=metrics.__name__,
                        config=f'"reference": "{CANDIDATE}"',
                    )
                    for name in metrics.OF_TWO_MODELS
                ],
            )
        )
    return config_pb2.EvalConfig(
        model_specs=specs,
        slicing_specs=[
            config_pb2.SlicingSpec(feature_keys=[SPLIT_FEATURE]),
            *(
                config_pb2.SlicingSpec(feature_keys=[SPLIT_FEATURE, feature])
                for feature in slices
            ),
        ],
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
    *,
    slicing_by: Slicing = Slicing(),
    perturbing_by: Perturbing | None = None,
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
      slicing_by: Features to slice by; `read_unjudged_slices` tells afterwards which
        of them could not be.
      perturbing_by: Says how many examples the candidate, the first of the models, is
        asked about again with harmless changes; None asks about none.
    """
    batches = _read(pipeline, split_patterns) | "Batch" >> SampleAndShuffleIntoBatches(
        batch_size, max_examples, _sample_sizes(perturbing_by)
    )
    to_extracts = ToExtracts(
        LabelReader(label_key, labels),
        slicing_by.features,
        perturbing_by.eval_split if perturbing_by else "",
    )
    extracts, surveys = batches | "ToExtracts" >> beam.ParDo(to_extracts).with_outputs(
        ToExtracts.SURVEYS, main="extracts"
    )
    slices = None
    if slicing_by.features:
        slices = surveys | "SurveySlices" >> beam.CombineGlobally(
            functools.partial(slicing.merge, max_values=slicing_by.max_values)
        )
        _ = (
            slices
            | "SlicesToJson" >> beam.Map(_to_json)
            | "WriteSlices"
            >> beam.io.WriteToText(
                os.path.join(output_path, _SLICES_FILE), shard_name_template=""
            )
        )
    changes = None
    if perturbing_by and perturbing_by.max_examples:
        changes = (
            batches
            | "ChooseLooks" >> beam.FlatMap(_sampled_of, perturbing_by.train_split)
            | "Look" >> beam.Map(perturbing.look_at, label_key)
            | "GatherLooks" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "SuitableChanges" >> beam.Map(perturbing.suitable_changes)
        )
    perturbed = [PERTURBED_PREFIX + name for name in CHANGE_NAMES] if changes else []
    asked_config = make_eval_config(models)
    shared_models = [
        tfma.default_eval_shared_model(
            eval_saved_model_path=model.path,
            model_name=model.name,
            eval_config=asked_config,
        )
        for model in models
    ]
    extractors = [
        SerializedExtractor(),
        predictions_extractor.PredictionsExtractor(asked_config, shared_models),
        BatchSliceKeyExtractor(slices and beam.pvalue.AsSingleton(slices)),
    ]
    if changes:
        extractors.insert(
            2,
            PerturbedPredictionsExtractor(
                models[0], shared_models[0], beam.pvalue.AsSingleton(changes)
            ),
        )
    _ = (
        extracts
        | "ExtractEvaluateAndWriteResults"
        >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=make_eval_config(models, slicing_by.features, perturbed),
            eval_shared_model=shared_models,
            extractors=extractors,
            output_path=output_path,
        )
    )


def read_unjudged_slices(
    output_path: str, slicing_by: Slicing
) -> tuple[UnjudgedSlice, ...]:
    """Reads which features could not be sliced by, once the pipeline has run.

    Raises:
      InputError: If no example has a feature that was to be sliced by.
    """
    if not slicing_by.features:
        return ()
    with fileio.open(os.path.join(output_path, _SLICES_FILE)) as file:
        found = json.loads(file.read())
    surveyed = slicing.Survey(frozenset(found["known"]), {}, found["reasons"])
    return slicing.unjudged(surveyed, slicing_by.features)


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


def _read(
    pipeline: beam.Pipeline, split_patterns: Mapping[str, Sequence[str]]
) -> beam.PCollection:
    """Reads (split, serialized example) pairs."""
    splits = [
        pipeline
        | f"Read[{split}][{i}]" >> beam.io.ReadFromTFRecord(pattern)
        | f"Name[{split}][{i}]"
        >> beam.Map(lambda serialized, split=split: (split, serialized))
        for split, patterns in split_patterns.items()
        for i, pattern in enumerate(patterns)
    ]
    return splits | "Flatten" >> beam.Flatten()


def _sample_sizes(perturbing_by: Perturbing | None) -> dict[str, int]:
    if perturbing_by is None or not perturbing_by.max_examples:
        return {}
    return {
        perturbing_by.train_split: perturbing.NUM_SURVEYED,
        perturbing_by.eval_split: perturbing_by.max_examples,
    }


def _sampled_of(batch: Batch, split: str) -> list[bytes]:
    return batch.rows[: batch.num_sampled] if batch.split == split else []


def _to_json(survey: slicing.Survey) -> str:
    return json.dumps({"known": sorted(survey.known), "reasons": dict(survey.reasons)})
