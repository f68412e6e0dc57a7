# SPDX-License-Identifier: Apache-2.0
"""Reads what the evaluator is given, and refuses what contradicts itself."""

import json
import os

from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from components import artifact_io
from components.causes import Severity
from components.errors import InputError
from components.findings import Finding, failed_check, find
from components.guarded_evaluator import asking, models
from components.labels import LabelValue
from components.records.evaluation import BASELINE, CANDIDATE
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

UPSTREAM_KEYS = (
    "class_balance_findings",
    "feature_findings",
    "leakage_findings",
    "training_findings",
)
"""Inputs that carry findings of the steps before."""
_NAME = "GuardedEvaluator"


def serving_path(model: artifact.Artifact) -> str:
    """Returns the folder of an artifact's serving model, whether or not it exists."""
    return str(path_utils.serving_model_path(model.uri))


def candidate(model: artifact.Artifact) -> models.JudgedModel:
    """Returns the serving model under judgement."""
    return models.serving_model(CANDIDATE, serving_path(model))


def judging_copy(model: artifact.Artifact) -> str:
    """Returns the folder of a copy for judging, whether or not it exists."""
    return str(path_utils.eval_model_dir(model.uri))


def has_model(model: artifact.Artifact) -> bool:
    """Returns whether an artifact holds a serving model.

    LatestBlessedModel leaves one without where nothing is in production yet.
    """
    return bool(fileio.exists(serving_path(model)))


def read_upstream(input_dict: artifact_io.InputDict) -> tuple[Finding, ...]:
    """Returns the findings of the steps before; what cannot be read blocks."""
    findings: list[Finding] = []
    for key in UPSTREAM_KEYS:
        try:
            source = artifact_io.optional(input_dict, key)
            if source is not None:
                findings += artifact_io.read_findings(source).findings
        except Exception as error:
            findings.append(failed_check(f"{_NAME}: reading {key}", error))
    return tuple(findings)


def training_record(input_dict: artifact_io.InputDict) -> TrainingRecord | None:
    """Returns what the GuardedTrainer recorded, None where another one trained."""
    run = artifact_io.optional(input_dict, "model_run")
    if run is None or not fileio.exists(os.path.join(run.uri, TRAINING_RECORD_FILE)):
        return None
    return artifact_io.read_record(TrainingRecord, run, TRAINING_RECORD_FILE)


def baseline(input_dict: artifact_io.InputDict) -> artifact.Artifact | None:
    """Returns the model in production, None where it is not wired or there is none."""
    model = artifact_io.optional(input_dict, "baseline_model")
    return model if model is not None and has_model(model) else None


def class_labels(
    input_dict: artifact_io.InputDict, label_key: str
) -> tuple[LabelValue, ...]:
    """Returns the label of each output of the model.

    Raises:
      InputError: If model, class weights and configuration contradict each other.
    """
    model = artifact_io.single(input_dict, "model")
    card = models.model_card(judging_copy(model))
    weights = artifact_io.optional(input_dict, "class_weights")
    table = artifact_io.read_class_table(weights) if weights else None
    for source in (card, table):
        if source is not None and source.label_key != label_key:
            raise InputError(
                f"`label_key`: expected {source.label_key!r}, the label that "
                f"{'the model was trained' if source is card else 'was weighed'} on, "
                f"but got {label_key!r}; correct it"
            )
    if card is not None and table is not None and card.labels != table.labels:
        raise InputError(
            f"{model.uri}: expected a model of the {len(table.labels)} classes of "
            f"`class_weights`, but it knows {len(card.labels)} others or in another "
            "order; wire both from the same run"
        )
    asked = candidate(model)
    named = card or table
    labels = named.labels if named else models.integer_labels(asked)
    if models.num_outputs(asked) != len(labels):
        raise InputError(
            f"{model.uri}: expected one output for each of the {len(labels)} classes, "
            f"but the model has {models.num_outputs(asked)}; train it on these "
            "classes"
        )
    return labels


def incomparable(
    old: artifact.Artifact | None, labels: tuple[LabelValue, ...]
) -> tuple[Finding, ...]:
    """Says so where the model in production answers other classes than these."""
    if old is None:
        return ()
    card = models.model_card(judging_copy(old))
    # What LatestBlessedModel read in the passport; none for other sources.
    passport = json.loads(old.get_string_custom_property("class_names") or "[]")
    known = list(card.labels if card else passport)
    num_outputs = models.num_outputs(models.serving_model(BASELINE, serving_path(old)))
    same = not known or list(map(str, known)) == list(map(str, labels))
    if num_outputs == len(labels) and same:
        return ()
    return (
        find(
            "check_failed",
            f"The model in production knows {num_outputs} classes that are not the "
            f"{len(labels)} of the new one, so the two are not compared.",
            severity=Severity.WARN,
            remedy="Nothing, if the classes were changed on purpose.",
            found_by=_NAME,
        ),
    )


def comparable_baseline(
    input_dict: artifact_io.InputDict, labels: tuple[LabelValue, ...]
) -> tuple[list[models.JudgedModel], tuple[Finding, ...]]:
    """Returns the model in production where it can be compared with, and why not.

    One that is damaged blocks: nothing is known then of what is to be replaced. All
    else is judged without it.
    """
    try:
        old = baseline(input_dict)
        notes = incomparable(old, labels)
        if old is None or notes:
            return [], notes
        model = models.serving_model(BASELINE, serving_path(old))
        asking.Asked(model)
    except Exception as error:
        return [], (failed_check(f"{_NAME}: the model in production", error),)
    return [model], ()


def modes(
    copy: str, few: list[bytes], num_classes: int
) -> tuple[list[models.JudgedModel], str]:
    """Returns the modes that the copy for judging can be asked in, and why not."""
    try:
        found = models.modes(copy)
        if few:
            asking.try_models(found, few[0], num_classes)
    except InputError as error:
        return [], str(error)
    return found, ""


def split_patterns(
    input_dict: artifact_io.InputDict, splits: tuple[str, ...]
) -> dict[str, list[str]]:
    """Returns the file patterns of each split, one for each Examples artifact."""
    return {
        split: [
            io_utils.all_files_pattern(uri)
            for uri in artifact_utils.get_split_uris(input_dict["examples"], split)
        ]
        for split in splits
    }
