# SPDX-License-Identifier: Apache-2.0
"""Judges a model and data that lie in files; what `tfx-guard check` calls."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from components.class_balance.config import ClassBalanceConfig
from components.feature_validator.config import FeatureConfig
from components.findings import Finding
from components.guarded_evaluator.config import EvaluationConfig
from components.judging import pixel_ranges
from components.judging.concluding import DataLimits, conclude
from components.judging.data.feeding import Pixels as Pixels
from components.judging.data.files import of_files
from components.judging.judgement import Judgement
from components.judging.models.opening import open_model
from components.leakage.config import LeakageConfig
from components.records.evaluation import EvaluationRecord


def check_files(
    model: Path,
    train: Path,
    eval: Path,
    *,
    label: str = "label",
    config: EvaluationConfig | None = None,
    class_balance: ClassBalanceConfig | None = None,
    features: FeatureConfig | None = None,
    leakage: LeakageConfig | None = None,
    keras_model: Path | None = None,
    baseline: Path | None = None,
    signature: str | None = None,
    from_logits: bool | None = None,
    pixels: Pixels = "0..255",
    image: str | None = None,
    ignore: Sequence[str] = (),
    batch_size: int | None = None,
    data_checks: bool = True,
    on_step: Callable[[str], None] = lambda step: None,
) -> Judgement:
    """Judges a model in a file on data in files.

    Args:
      model: A `.keras` file, or the folder of a SavedModel.
      train: What it was trained on: a folder of pictures with one sub-folder per
        class, CSV, TFRecord or Parquet files or a folder of them, or an `.npz` file.
      eval: The same for examples that it was not trained on; they decide.
      label: Name of the label.
      config: The limits.
      class_balance: Limits on the classes.
      features: Limits on the features.
      leakage: Limits on what both splits may share.
      keras_model: The `.keras` file that a SavedModel was exported from, which can be
        asked in training mode.
      baseline: A model in production to compare with, in a file as `model`.
      signature: Signature of a SavedModel to ask; by default `serving_default`.
      from_logits: Whether the model answers logits.
      pixels: Range in which the model is given pixels.
      image: Feature with encoded pictures, where there are several.
      ignore: Features that are neither inputs nor content, such as ids.
      batch_size: Batch size of training; by default what the model tells, or 32.
      data_checks: Whether to look through the data as well.
      on_step: Called with what is being done.

    Returns:
      A verdict with its numbers.

    Raises:
      InputError: If model or data cannot be judged; names file and field.
    """
    settings = config or EvaluationConfig()
    on_step("loading the model")
    opened = open_model(
        model, beside=keras_model, signature=signature, from_logits=from_logits
    )
    in_use = open_model(baseline, from_logits=from_logits) if baseline else None
    on_step("reading the data")
    with of_files(
        train,
        eval,
        opened.spec,
        label=label,
        image=image,
        pixels=pixels,
        ignore=ignore,
        class_names=tuple(map(str, opened.labels)) or None,
    ) as data:

        def explain(record: EvaluationRecord) -> Iterable[Finding]:
            if data.image_key is None or opened.spec.takes_examples:
                return ()
            return pixel_ranges.explain(opened, data, record, settings, pixels)

        return conclude(
            opened,
            data,
            settings,
            baseline=in_use,
            batch_size=batch_size,
            data_limits=DataLimits(
                class_balance or ClassBalanceConfig(),
                features or FeatureConfig(),
                leakage or LeakageConfig(),
            )
            if data_checks
            else None,
            explain=explain,
            on_step=on_step,
        )
