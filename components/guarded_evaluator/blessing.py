# SPDX-License-Identifier: Apache-2.0
"""Writes the decision: for TFX's own components as TFX does, and with its reasons."""

import datetime
import os
from collections.abc import Iterable

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.components.evaluator import constants
from tfx.dsl.io import fileio
from tfx.types import artifact
from tfx.utils import json_utils

from components import artifact_io
from components.findings import Verdict
from components.guarded_evaluator import inputs
from components.records.blessing import BLESSING_FILE, Blessing


def bless(
    blessing: artifact.Artifact,
    verdict: Verdict,
    digest: str,
    model: artifact.Artifact,
    baselines: Iterable[artifact.Artifact],
) -> None:
    """Blesses a model, or writes why not.

    Args:
      blessing: Where to write.
      verdict: What was found.
      digest: Digest of the model; without one it is not blessed.
      model: The model that was judged.
      baselines: The models that it was compared with.
    """
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
