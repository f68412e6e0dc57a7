# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedEvaluator, and writes a blessing come what may."""

import datetime
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as stock
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils, standard_artifacts
from tfx.utils import io_utils, json_utils, path_utils

from components import artifact_io
from components.causes import Severity
from components.digest import model_digest
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check, find
from components.guarded_evaluator import measure, models, user_thresholds
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence, decide
from components.guarded_evaluator.results import read_results
from components.labels import LabelValue
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

UPSTREAM_KEYS = (
    "class_balance_findings",
    "leakage_findings",
    "training_findings",
)
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
        digest, findings = "", list(_read_upstream(input_dict))
        try:
            digest = model_digest(path_utils.serving_model_path(model.uri))
            if exec_properties.get("eval_config"):
                findings += self._stock_thresholds(
                    input_dict, output_dict, exec_properties
                )
            findings += self._judge(input_dict, output_dict, exec_properties)
            if model_digest(path_utils.serving_model_path(model.uri)) != digest:
                raise InputError(
                    f"{model.uri}: expected the model to stay as it is while it is "
                    "judged, but its files changed; let nothing write to it"
                )
        except Exception as error:
            # Fails closed: an unknown reason to block is a reason to block.
            findings.append(failed_check(_NAME, error))
        verdict = Verdict.of(findings)
        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        blessing = artifact_io.single(output_dict, "blessing")
        _bless(blessing, verdict, digest, model, _baseline(input_dict))

    def _judge(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: Mapping[str, Any],
    ) -> tuple[Finding, ...]:
        config = EvaluationConfig.from_json(exec_properties["config"])
        uri = artifact_io.single(output_dict, "evaluation").uri
        evaluation, warnings = self._measure(input_dict, uri, exec_properties, config)
        artifact_io.write_text(
            uri, EVALUATION_FILE, evaluation.model_dump_json(indent=2)
        )
        evidence = Evidence(config, evaluation, _training_record(input_dict), warnings)
        return decide(evidence, CHECKS).findings

    def _measure(
        self,
        input_dict: artifact_io.InputDict,
        uri: str,
        exec_properties: Mapping[str, Any],
        config: EvaluationConfig,
    ) -> tuple[EvaluationRecord, tuple[Finding, ...]]:
        model = artifact_io.single(input_dict, "model")
        candidate = models.candidate(model.uri)
        card = models.model_card(model.uri)
        labels = _labels(input_dict, card.labels if card else None) or (
            models.integer_labels(candidate)
        )
        judged = [candidate, *models.modes(model.uri)]
        warnings: tuple[Finding, ...] = ()
        baseline = _baseline(input_dict)
        if baseline is not None:
            old = models.baseline(baseline.uri)
            if models.num_outputs(old) == len(labels):
                judged.append(old)
            else:
                warnings = (_other_classes(models.num_outputs(old), len(labels)),)
        # A user's own eval_config owns the root of the artifact.
        folder = (
            os.path.join(uri, "guard") if exec_properties.get("eval_config") else uri
        )
        with self._make_beam_pipeline() as pipeline:
            measure.evaluate(
                pipeline,
                _split_patterns(input_dict, (config.train_split, config.eval_split)),
                judged,
                card.label_key if card else exec_properties["label_key"],
                labels,
                card.batch_size if card else _DEFAULT_BATCH,
                {config.train_split: config.max_train_examples},
                folder,
            )
        return read_results(folder, [str(label) for label in labels]), warnings

    def _stock_thresholds(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> tuple[Finding, ...]:
        """Lets TFX's Evaluator evaluate and validate the user's `eval_config`."""
        baseline = _baseline(input_dict)
        inputs = {
            key: artifacts
            for key, artifacts in input_dict.items()
            if key in ("examples", "model", "schema")
        }
        if baseline is not None:
            inputs["baseline_model"] = [baseline]
        uri = artifact_io.single(output_dict, "evaluation").uri
        # Its blessing is not the blessing: it goes beside the metrics.
        thresholds = standard_artifacts.ModelBlessing()
        thresholds.uri = os.path.join(uri, "thresholds")
        fileio.makedirs(thresholds.uri)
        outputs = {"evaluation": output_dict["evaluation"], "blessing": [thresholds]}
        properties = {k: v for k, v in exec_properties.items() if k != "config"}
        super().Do(inputs, outputs, properties)
        if not thresholds.has_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY):
            return ()  # No thresholds are configured.
        return user_thresholds.findings_of(uri)


def _read_upstream(input_dict: artifact_io.InputDict) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for key in UPSTREAM_KEYS:
        try:
            source = artifact_io.optional(input_dict, key)
            if source is not None:
                findings += artifact_io.read_findings(source).findings
        except Exception as error:
            findings.append(failed_check(f"{_NAME}: reading {key}", error))
    return tuple(findings)


def _training_record(input_dict: artifact_io.InputDict) -> TrainingRecord | None:
    run = artifact_io.optional(input_dict, "model_run")
    if run is None or not fileio.exists(os.path.join(run.uri, TRAINING_RECORD_FILE)):
        return None
    return TrainingRecord.from_json(
        artifact_io.read_text(run.uri, TRAINING_RECORD_FILE)
    )


def _baseline(input_dict: artifact_io.InputDict) -> artifact.Artifact | None:
    """Returns the model in production, None where it is not wired or not there."""
    model = artifact_io.optional(input_dict, "baseline_model")
    if model is None:
        return None
    folder = path_utils.serving_model_dir(model.uri)
    return model if fileio.exists(os.path.join(folder, "saved_model.pb")) else None


def _labels(
    input_dict: artifact_io.InputDict, of_card: tuple[LabelValue, ...] | None
) -> tuple[LabelValue, ...] | None:
    if of_card is not None:
        return of_card
    weights = artifact_io.optional(input_dict, "class_weights")
    return artifact_io.read_class_table(weights).labels if weights else None


def _split_patterns(
    input_dict: artifact_io.InputDict, splits: tuple[str, ...]
) -> dict[str, str]:
    return {
        split: io_utils.all_files_pattern(uri)
        for split in splits
        for uri in artifact_utils.get_split_uris(input_dict["examples"], split)
    }


def _other_classes(num_old: int, num_new: int) -> Finding:
    return find(
        "check_failed",
        f"The model in production knows {num_old} classes and the new one {num_new}, "
        "so the two are not compared.",
        severity=Severity.WARN,
        remedy="Nothing, if the classes were changed on purpose.",
        found_by=_NAME,
    )


def _bless(
    blessing: artifact.Artifact,
    verdict: Verdict,
    digest: str,
    model: artifact.Artifact,
    baseline: artifact.Artifact | None,
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
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    artifact_io.write_text(blessing.uri, name, "")
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
    if baseline is not None:
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
        )
        blessing.set_int_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id
        )
