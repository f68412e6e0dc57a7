# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedEvaluator, and writes a blessing come what may."""

import datetime
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as stock
from tfx.dsl.io import fileio
from tfx.types import artifact, standard_artifacts
from tfx.utils import json_utils

from components import artifact_io
from components.digest import model_digest
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check
from components.guarded_evaluator import (
    inputs,
    measure,
    models,
    one_by_one,
    user_thresholds,
)
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence, decide
from components.guarded_evaluator.results import read_results
from components.labels import LabelValue
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord

_NAME = "GuardedEvaluator"
_DEFAULT_BATCH = 32


class Executor(stock.Executor):
    """Measures with TFMA, decides, and blesses or does not."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Judges the model; whatever goes wrong while judging blocks it.

        Args:
          input_dict: `examples`, `model`, and optionally `baseline_model`,
            `schema`, `model_run`, `class_weights` and the findings of
            `UPSTREAM_KEYS`.
          output_dict: `evaluation`, `blessing`, `findings`.
          exec_properties: `config` (JSON of EvaluationConfig), `label_key`, and what
            TFX's Evaluator takes, of which a given `eval_config` is evaluated and
            validated as TFX does.
        """
        model = artifact_io.single(input_dict, "model")
        evaluation = artifact_io.single(output_dict, "evaluation")
        digest, findings = "", list(inputs.read_upstream(input_dict))
        try:
            digest = model_digest(inputs.serving_path(model))
        except Exception as error:
            findings.append(failed_check(_NAME, error))
        else:
            for step in (self._check_thresholds, self._judge):
                findings += _guarded(step, input_dict, evaluation, exec_properties)
            findings += _guarded(_check_unchanged, model, digest)
        verdict = Verdict.of(findings)
        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        blessing = artifact_io.single(output_dict, "blessing")
        _bless(blessing, verdict, digest, model, input_dict.get("baseline_model", []))

    def _judge(
        self,
        input_dict: artifact_io.InputDict,
        evaluation: artifact.Artifact,
        exec_properties: Mapping[str, Any],
    ) -> tuple[Finding, ...]:
        uri = evaluation.uri
        config = EvaluationConfig.from_json(exec_properties["config"])
        labels = inputs.class_labels(input_dict, exec_properties["label_key"])
        record = self._measure(input_dict, uri, exec_properties, config, labels)
        artifact_io.write_text(uri, EVALUATION_FILE, record.model_dump_json(indent=2))
        training = inputs.training_record(input_dict)
        notes = inputs.incomparable(inputs.baseline(input_dict), labels)
        if training is not None and not input_dict.get("training_findings"):
            notes += training.findings  # The record tells them as well.
        return decide(Evidence(config, record, training, notes), CHECKS).findings

    def _measure(
        self,
        input_dict: artifact_io.InputDict,
        uri: str,
        exec_properties: Mapping[str, Any],
        config: EvaluationConfig,
        labels: tuple[LabelValue, ...],
    ) -> EvaluationRecord:
        model = artifact_io.single(input_dict, "model")
        candidate, card = models.candidate(model.uri), models.model_card(model.uri)
        judged = [candidate, *models.modes(model.uri)]
        baseline = inputs.baseline(input_dict)
        if baseline is not None and not inputs.incomparable(baseline, labels):
            judged.append(models.baseline(baseline.uri))
        patterns = inputs.split_patterns(
            input_dict, (config.train_split, config.eval_split)
        )
        # A user's own eval_config owns the root of the artifact.
        folder = (
            os.path.join(uri, "guard") if exec_properties.get("eval_config") else uri
        )
        with self._make_beam_pipeline() as pipeline:
            measure.evaluate(
                pipeline,
                patterns,
                judged,
                exec_properties["label_key"],
                labels,
                card.batch_size if card else _DEFAULT_BATCH,
                {config.train_split: config.max_train_examples},
                folder,
            )
        measure.check_batches(pipeline.result)
        evaluation = read_results(folder, [str(label) for label in labels])
        alone = one_by_one.compare(
            candidate,
            measure.LabelReader(exec_properties["label_key"], labels),
            one_by_one.choose_examples(patterns[config.eval_split]),
            config.eval_split,
        )
        return evaluation.model_copy(update={"pairs": (*evaluation.pairs, alone)})

    def _check_thresholds(
        self,
        input_dict: artifact_io.InputDict,
        evaluation: artifact.Artifact,
        exec_properties: dict[str, Any],
    ) -> tuple[Finding, ...]:
        """Lets TFX's Evaluator evaluate and validate the user's `eval_config`."""
        if not exec_properties.get("eval_config"):
            return ()
        given = {
            key: artifacts
            for key, artifacts in input_dict.items()
            if key in ("examples", "model", "schema")
        }
        baseline = inputs.baseline(input_dict)
        labels = inputs.class_labels(input_dict, exec_properties["label_key"])
        if baseline is not None and not inputs.incomparable(baseline, labels):
            given["baseline_model"] = [baseline]
        # Its blessing is not the blessing: it goes beside the metrics.
        thresholds = standard_artifacts.ModelBlessing()
        thresholds.uri = os.path.join(evaluation.uri, "thresholds")
        fileio.makedirs(thresholds.uri)
        outputs = {"evaluation": [evaluation], "blessing": [thresholds]}
        properties = {k: v for k, v in exec_properties.items() if k != "config"}
        super().Do(given, outputs, properties)
        if not thresholds.has_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY):
            return ()  # No thresholds are configured.
        return user_thresholds.findings_of(evaluation.uri)


def _guarded(
    step: Callable[..., tuple[Finding, ...]], *arguments: Any
) -> tuple[Finding, ...]:
    """Runs one step. Fails closed: an unknown reason to block is a reason to block."""
    try:
        return step(*arguments)
    except Exception as error:
        return (failed_check(_NAME, error),)


def _check_unchanged(model: artifact.Artifact, digest: str) -> tuple[Finding, ...]:
    if digest and model_digest(inputs.serving_path(model)) != digest:
        raise InputError(
            f"{model.uri}: expected the model to stay as it is while it is judged, but "
            "its files changed; let nothing write to it"
        )
    return ()


def _bless(
    blessing: artifact.Artifact,
    verdict: Verdict,
    digest: str,
    model: artifact.Artifact,
    baselines: Iterable[artifact.Artifact],
) -> None:
    """Writes the decision: for TFX as TFX does, and with its reasons."""
    blessed = verdict.passed and bool(digest)
    decision = Blessing(
        blessed=blessed,
        model_sha256=digest,
        verdict=verdict,
        decided_at=datetime.datetime.now(datetime.timezone.utc).isoformat(),
        versions={"tensorflow": tf.__version__, "tfma": tfma.__version__},
    )
    artifact_io.write_text(
        blessing.uri, BLESSING_FILE, decision.model_dump_json(indent=2)
    )
    marks = [constants.NOT_BLESSED_FILE_NAME, constants.BLESSED_FILE_NAME]
    artifact_io.write_text(blessing.uri, marks[blessed], "")
    # An earlier attempt, which the orchestrator repeats, may have left the other.
    other = os.path.join(blessing.uri, marks[not blessed])
    if fileio.exists(other):
        fileio.remove(other)
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE,
    )
    blessing.set_string_custom_property("model_sha256", digest)
    blessing.set_string_custom_property(
        "reasons", json_utils.dumps([finding.cause for finding in verdict.blocking])
    )
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id
    )
    for baseline in filter(inputs.has_model, baselines):
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
        )
        blessing.set_int_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id
        )
