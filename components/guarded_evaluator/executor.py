# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedEvaluator, and writes a blessing come what may."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as stock
from tfx.dsl.io import fileio
from tfx.types import artifact, standard_artifacts

from components import artifact_io
from components.digest import model_digest
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check
from components.guarded_evaluator import (
    asking,
    inputs,
    measure,
    metrics,
    models,
    one_by_one,
    user_thresholds,
)
from components.guarded_evaluator.blessing import bless
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence, decide
from components.guarded_evaluator.results import read_results
from components.labels import LabelValue
from components.records.evaluation import (
    EVALUATION_FILE,
    EvaluationRecord,
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
        evaluation = artifact_io.single(output_dict, "evaluation")
        digest, findings = "", inputs.read_upstream(input_dict)
        try:
            digest = model_digest(inputs.serving_path(model))
        except Exception as error:
            findings += (failed_check(_NAME, error),)
        else:
            given = input_dict, evaluation, exec_properties
            findings += _guarded(self._check_thresholds, *given)
            findings = _guarded(self._judge, *given, findings, otherwise=findings)
            findings += _guarded(_check_unchanged, model, digest)
        verdict = Verdict.of(findings)
        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        blessing = artifact_io.single(output_dict, "blessing")
        bless(blessing, verdict, digest, model, input_dict.get("baseline_model", []))

    def _judge(
        self,
        input_dict: artifact_io.InputDict,
        evaluation: artifact.Artifact,
        exec_properties: Mapping[str, Any],
        known: tuple[Finding, ...],
    ) -> tuple[Finding, ...]:
        """Returns what is known already, what is found, and what explains what."""
        uri = evaluation.uri
        config = EvaluationConfig.from_json(exec_properties["config"])
        labels = inputs.class_labels(input_dict, exec_properties["label_key"])
        baseline, notes = inputs.comparable_baseline(input_dict, labels)
        record = self._measure(
            input_dict, uri, exec_properties, config, labels, baseline
        )
        artifact_io.write_text(uri, EVALUATION_FILE, record.model_dump_json(indent=2))
        training = inputs.training_record(input_dict)
        if training is not None and not input_dict.get("training_findings"):
            notes += training.findings  # The record tells them as well.
        evidence = Evidence(config, record, training, (*known, *notes))
        return decide(evidence, CHECKS).findings

    def _measure(
        self,
        input_dict: artifact_io.InputDict,
        uri: str,
        exec_properties: Mapping[str, Any],
        config: EvaluationConfig,
        labels: tuple[LabelValue, ...],
        baseline: list[models.JudgedModel],
    ) -> EvaluationRecord:
        model = artifact_io.single(input_dict, "model")
        candidate, copy = inputs.candidate(model), inputs.judging_copy(model)
        label_key, split = exec_properties["label_key"], config.eval_split
        patterns = inputs.split_patterns(input_dict, (config.train_split, split))
        # Before all examples: what is wrong with a model shows here, and by name.
        few = one_by_one.choose_examples(patterns[split])
        reader = measure.LabelReader(label_key, labels)
        alone = one_by_one.compare(candidate, reader, few, split)
        modes, modes_missing_because = inputs.modes(copy, few, len(labels))
        # A user's own eval_config owns the root of the artifact.
        folder = (
            os.path.join(uri, "guard") if exec_properties.get("eval_config") else uri
        )
        card = models.model_card(copy)
        slicing = measure.Slicing(config.slices, config.max_slices)
        pipeline = self._make_beam_pipeline()
        measure.evaluate(
            pipeline,
            patterns,
            [candidate, *modes, *baseline],
            label_key,
            labels,
            card.batch_size if card else _DEFAULT_BATCH,
            {config.train_split: config.max_train_examples},
            folder,
            slicing_by=slicing,
            perturbing_by=measure.Perturbing(
                config.train_split, split, config.max_perturbed_examples
            ),
        )
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            raise asking.plain(error, candidate) from error
        measure.check_batches(result)
        evaluation = read_results(folder, [str(label) for label in labels])
        return evaluation.model_copy(
            update={
                "pairs": (*evaluation.pairs, alone),
                "unjudged_slices": measure.read_unjudged_slices(folder, slicing),
                "modes_missing_because": modes_missing_because,
                "has_no_modes": not modes
                and models.has_no_moving_state(candidate.path),
            }
        )

    def _check_thresholds(
        self,
        input_dict: artifact_io.InputDict,
        evaluation: artifact.Artifact,
        exec_properties: dict[str, Any],
    ) -> tuple[Finding, ...]:
        """Lets TFX's Evaluator evaluate and validate the user's `eval_config`."""
        if not exec_properties.get("eval_config"):
            return ()
        metrics.register()  # For an `eval_config` that names them by class only.
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
    step: Callable[..., tuple[Finding, ...]],
    *arguments: Any,
    otherwise: tuple[Finding, ...] = (),
) -> tuple[Finding, ...]:
    """Runs one step. Fails closed: an unknown reason to block is a reason to block."""
    try:
        return step(*arguments)
    except Exception as error:
        return (*otherwise, failed_check(_NAME, error))


def _check_unchanged(model: artifact.Artifact, digest: str) -> tuple[Finding, ...]:
    if digest and model_digest(inputs.serving_path(model)) != digest:
        raise InputError(
            f"{model.uri}: expected the model to stay as it is while it is judged, but "
            "its files changed; let nothing write to it"
        )
    return ()
