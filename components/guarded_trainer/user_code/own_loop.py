# SPDX-License-Identifier: Apache-2.0
"""Calls a user's `run_fn`, and reads what `fit_guarded` has left behind."""

from collections.abc import Callable
from typing import Any

import keras
import pydantic
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding, find
from components.guarded_trainer.user_code import blame
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord


def call_run_fn(run_fn: Callable[[Any], Any], fn_args: Any) -> None:
    """Calls `run_fn(fn_args)` as TFX's Trainer does.

    Args:
      run_fn: The user's function.
      fn_args: TFX's FnArgs.

    Raises:
      InputError: If it raises, naming the user's file and line, or leaves no model.
    """
    path, line = blame.location(run_fn)
    policy = keras.config.dtype_policy()
    try:
        with blame.called_from(run_fn, "run_fn(fn_args)"):
            run_fn(fn_args)
    finally:
        keras.config.set_dtype_policy(policy)
    if not tf.io.gfile.exists(
        tf.io.gfile.join(fn_args.serving_model_dir, "saved_model.pb")
    ):
        raise InputError(
            f"{path}:{line}: expected run_fn to write a SavedModel to "
            "fn_args.serving_model_dir, but there is none; end it with "
            "`model.export(fn_args.serving_model_dir)` or `export_guarded(...)`"
        )


def findings_of(folder: str) -> tuple[Finding, ...]:
    """Returns the findings of the record that `fit_guarded` has left in a folder.

    Where there is none, nothing is known of the training, which blocks.
    """
    path = tf.io.gfile.join(folder, TRAINING_RECORD_FILE)
    if not tf.io.gfile.exists(path):
        return (
            find(
                "check_failed",
                f"run_fn has left no {TRAINING_RECORD_FILE}, so nothing is known of "
                "the training.",
                remedy="Call `components.fit_guarded(model, train, eval, ..., "
                "log_dir=fn_args.model_run_dir)` in place of `model.fit`.",
                found_by="GuardedTrainer",
            ),
        )
    with tf.io.gfile.GFile(path, "r") as file:
        text = file.read()
    try:
        return TrainingRecord.from_json(text).findings
    except pydantic.ValidationError as error:
        return (
            find(
                "check_failed",
                f"{TRAINING_RECORD_FILE} of run_fn cannot be read "
                f"({error.error_count()} fields are wrong, the first "
                f"{'.'.join(map(str, error.errors()[0]['loc']))}).",
                remedy="Leave the file to `components.fit_guarded` of this version.",
                found_by="GuardedTrainer",
            ),
        )
