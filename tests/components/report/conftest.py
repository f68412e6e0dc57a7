# SPDX-License-Identifier: Apache-2.0
"""Runs of every kind that a report has to show, as plain records."""

import dataclasses
import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from components import findings
from components.causes import Severity
from components.findings import Subject, Verdict
from components.labels import ClassTable
from components.records.blessing import Blessing
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    NUM_CALIBRATION_BINS,
    ONE_BY_ONE,
    PERTURBED_PREFIX,
    TRAINING_MODE,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
    PairedResult,
    UnjudgedSlice,
)
from components.records.training import (
    BatchNormDrift,
    DeviceRecord,
    Epoch,
    Forgetting,
    LayerReading,
    ProbeReading,
    Recalibration,
    Remedy,
    TrainingRecord,
    TransferRecord,
)
from components.report.inputs import (
    CheckedModel,
    DataFindings,
    Picture,
    Push,
    ReportInputs,
)

VERSIONS = {"tensorflow": "2.16.2", "keras": "3.12.0", "tfx": "1.16.0"}
SHA256 = "9f2b" * 16
DECIDED_AT = "2026-11-22T12:50:03+00:00"


def matrix(counts: Sequence[int], accuracy: float) -> tuple[tuple[int, ...], ...]:
    """Puts the given share of each class on the diagonal, the rest beside it."""
    rows = []
    for k, count in enumerate(counts):
        row = [0] * len(counts)
        row[k] = round(count * accuracy)
        row[(k + 1) % len(counts)] += count - row[k]
        rows.append(tuple(row))
    return tuple(rows)


def collapsed(counts: Sequence[int], onto: int) -> tuple[tuple[int, ...], ...]:
    """Predicts one class for almost everything."""
    rows = []
    for count in counts:
        row = [0] * len(counts)
        row[onto] = count
        rows.append(tuple(row))
    return tuple(rows)


def result(model, split, confusion, mean_loss, num_not_finite=0) -> ModelResult:
    return ModelResult(
        model=model,
        split=split,
        num_examples=sum(map(sum, confusion)) + num_not_finite,
        confusion=confusion,
        mean_loss=mean_loss,
        output_spread=(0.3,) * len(confusion),
        num_not_finite=num_not_finite,
    )


def training_record(
    class_names: Sequence[str],
    epochs: Sequence[Epoch],
    batch_norm: Sequence[BatchNormDrift] = (),
    recalibration: Recalibration | None = None,
    best_epoch: int | None = None,
) -> TrainingRecord:
    return TrainingRecord(
        class_names=tuple(class_names),
        num_parameters=1_234_567,
        num_train_examples=1294,
        num_held_out=143,
        batch_size=32,
        steps_per_epoch=41,
        epochs=tuple(epochs),
        best_epoch=best_epoch,
        stopped_because="held-out loss has not improved for 5 epochs",
        batch_norm=tuple(batch_norm),
        recalibration=recalibration,
        export_max_difference=2.4e-7,
        seed=17,
        seconds=247.3,
        versions=VERSIONS,
        devices=("/physical_device:CPU:0",),
    )


def improving_epochs(count: int) -> list[Epoch]:
    return [
        Epoch(
            loss=2.2 * 0.72**k + 0.02,
            accuracy=1 - 0.85 * 0.7**k,
            held_out_loss=2.2 * 0.75**k + 0.08 + 0.004 * max(0, k - 9),
            held_out_accuracy=0.98 - 0.85 * 0.7**k,
            seconds=2.5,
        )
        for k in range(count)
    ]


def drifts(count: int, size: float) -> list[BatchNormDrift]:
    return [
        BatchNormDrift(
            layer=f"block{k // 3 + 1}_sepconv{k % 3 + 1}_bn",
            mean_shift=size * (1 + k % 4) / 4,
            log_variance_ratio=1.7 * size * (1 + k % 3) / 3,
            initial_share=min(0.9, size / 4),
        )
        for k in range(count)
    ]


def make_good_run() -> ReportInputs:
    names = tuple(map(str, range(10)))
    counts = (142, 146, 142, 146, 145, 145, 145, 143, 139, 144)
    on_eval = (36, 36, 35, 37, 36, 37, 36, 36, 35, 36)
    good = matrix(on_eval, 0.97)
    verdict = Verdict.of(
        [
            findings.find(
                "fragile_preprocessing",
                "Shifts of one pixel flip 3.1 % of the predictions on split eval.",
                subject=Subject(split="eval"),
                measured=0.031,
                limit=0.03,
                unit="share",
                found_by="robustness",
                evidence={"change": "shift by 1 pixel", "flipped": [12, 99, 214]},
            )
        ]
    )
    return ReportInputs(
        verdict=verdict,
        title="digits",
        blessing=Blessing(
            blessed=True,
            model_sha256=SHA256,
            verdict=verdict,
            decided_at=DECIDED_AT,
            versions=VERSIONS,
        ),
        evaluation=EvaluationRecord(
            class_names=names,
            results=(
                result(CANDIDATE, "train", matrix(counts, 0.995), 0.031),
                result(CANDIDATE, "eval", good, 0.092),
                result(TRAINING_MODE, "train", matrix(counts, 0.985), 0.055),
                result(TRAINING_MODE, "eval", matrix(on_eval, 0.96), 0.12),
                result(BATCH_STATISTICS_MODE, "train", matrix(counts, 0.995), 0.03),
                result(BATCH_STATISTICS_MODE, "eval", good, 0.094),
            ),
            pairs=(
                PairedResult(
                    other=TRAINING_MODE,
                    split="eval",
                    both_right=344,
                    only_candidate_right=6,
                    only_other_right=2,
                    both_wrong=8,
                    mean_distance=0.034,
                ),
            ),
        ),
        training=training_record(
            names,
            improving_epochs(16),
            drifts(4, 0.05),
            best_epoch=10,
        ),
        classes=ClassTable(
            label_key="label",
            labels=tuple(range(10)),
            train_counts=counts,
            weights=(1.0,) * 10,
        ),
        push=Push(pushed=True, version="1795351803", destination="/models/digits"),
    )


def make_mode_gap_run() -> ReportInputs:
    names = ("cat", "dog", "giant otter with a very long common name indeed")
    counts, on_eval = (400, 400, 120), (100, 100, 100)
    verdict = Verdict.of(
        [
            findings.find(
                "mode_gap",
                "On the same 300 examples of split eval the model is right on 98.0 % "
                "in training mode and on 33.3 % in inference mode.",
                subject=Subject(split="eval", model="inference"),
                measured=0.6466666667,
                limit=0.05,
                unit="share",
                found_by="mode_gap",
                evidence={"only_training_right": 195, "only_inference_right": 1},
            ),
            findings.find(
                "collapse",
                "Class dog gets 100 % of the predictions on split eval, but has 33.3 % "
                "of the labels.",
                subject=Subject(split="eval", class_name="dog"),
                measured=1.0,
                limit=0.9,
                unit="share",
                found_by="collapse",
            ),
            findings.find(
                "dead_class",
                "Class giant otter with a very long common name indeed has 100 "
                "examples on split eval and recall 0.",
                subject=Subject(split="eval", class_name=names[2]),
                measured=0,
                limit=0.1,
                unit="recall",
                found_by="dead_class",
            ),
            findings.find(
                "class_imbalance",
                "The rarest class has 13.0 % of the training examples.",
                subject=Subject(split="train", class_name=names[2]),
                measured=0.1304,
                limit=0.15,
                unit="share",
                found_by="class_balance",
            ),
            findings.find(
                "underfit",
                "Training was cut short after 3 of 10 epochs.",
                severity=Severity.INFO,
            ),
        ]
    )
    return ReportInputs(
        verdict=verdict,
        title="batchnorm-gap",
        blessing=Blessing(
            blessed=False,
            model_sha256=SHA256,
            verdict=verdict,
            decided_at=DECIDED_AT,
            versions={**VERSIONS, "keras": "3.12.1"},
        ),
        evaluation=EvaluationRecord(
            class_names=names,
            results=(
                result(CANDIDATE, "train", collapsed(counts, 1), 4.31),
                result(CANDIDATE, "eval", collapsed(on_eval, 1), 4.7251),
                result(TRAINING_MODE, "train", matrix(counts, 0.99), 0.02),
                result(TRAINING_MODE, "eval", matrix(on_eval, 0.98), 0.0712),
                result(BATCH_STATISTICS_MODE, "train", matrix(counts, 0.99), 0.02),
                result(BATCH_STATISTICS_MODE, "eval", matrix(on_eval, 0.98), 0.069),
            ),
            pairs=(
                PairedResult(
                    other=TRAINING_MODE,
                    split="eval",
                    both_right=99,
                    only_candidate_right=1,
                    only_other_right=195,
                    both_wrong=5,
                    mean_distance=0.648,
                ),
            ),
        ),
        training=training_record(
            names,
            improving_epochs(3),
            drifts(40, 2.6),
            Recalibration(
                kept=False,
                num_examples=920,
                num_held_out=92,
                loss_before=4.5,
                loss_after=4.8,
                accuracy_before=0.34,
                accuracy_after=0.33,
            ),
        ),
        classes=ClassTable(
            label_key="label",
            labels=names,
            train_counts=counts,
            weights=(0.87, 0.87, 1.8667),
            weighting="effective_number",
        ),
        push=Push(pushed=False, reason="the model was not blessed"),
    )


def make_stopped_early() -> ReportInputs:
    return ReportInputs(
        verdict=Verdict.of(
            [
                findings.find(
                    "missing_class",
                    "Split eval has no example of class 3.",
                    subject=Subject(split="eval", class_name="3"),
                    measured=0,
                    limit=1,
                    unit="examples",
                )
            ]
        )
    )


def make_many_classes(count: int = 100) -> ReportInputs:
    names = tuple(f"species {k:03d}" for k in range(count))
    counts = tuple(20 + 3 * k for k in range(count))
    return ReportInputs(
        verdict=Verdict(),
        title="a hundred species",
        evaluation=EvaluationRecord(
            class_names=names,
            results=(
                result(CANDIDATE, "train", matrix(counts, 0.99), 0.03),
                result(CANDIDATE, "eval", matrix(counts, 0.83), 0.61),
            ),
        ),
        classes=ClassTable(
            label_key="species",
            labels=names,
            train_counts=counts,
            weights=tuple(3 / (1 + k / 25) for k in range(count)),
            weighting="effective_number",
        ),
    )


def make_two_classes() -> ReportInputs:
    counts = (100, 900)
    return ReportInputs(
        verdict=Verdict(),
        title="churn",
        evaluation=EvaluationRecord(
            class_names=("leaves", "stays"),
            results=(result(CANDIDATE, "eval", matrix(counts, 0.9), 0.3),),
        ),
        classes=ClassTable(
            label_key="churn",
            labels=("leaves", "stays"),
            train_counts=(100, 900),
            weights=(5.0, 0.5556),
            weighting="inverse_frequency",
        ),
    )


def make_not_a_number() -> ReportInputs:
    nan = float("nan")
    names = ("a", "b")
    verdict = Verdict.of(
        [
            findings.find(
                "not_a_number",
                "The loss is NaN from epoch 4 on.",
                measured=nan,
                subject=Subject(split="train"),
            )
        ]
    )
    epochs = [
        Epoch(loss=0.7, accuracy=0.5, held_out_loss=0.71, held_out_accuracy=0.5),
        Epoch(loss=64.0, accuracy=0.5, held_out_loss=902.0, held_out_accuracy=0.5),
        Epoch(loss=1e6, accuracy=0.5, held_out_loss=float("inf")),
        Epoch(loss=nan, accuracy=0.5, held_out_loss=nan, held_out_accuracy=0.5),
        Epoch(loss=nan, accuracy=0.5, held_out_loss=nan, held_out_accuracy=0.5),
    ]
    nothing = ((0, 0), (0, 0))
    return ReportInputs(
        verdict=verdict,
        blessing=Blessing(
            blessed=False, model_sha256="", verdict=verdict, decided_at=DECIDED_AT
        ),
        evaluation=EvaluationRecord(
            class_names=names,
            results=(
                result(CANDIDATE, "eval", nothing, nan, num_not_finite=50),
                result(TRAINING_MODE, "eval", nothing, nan, num_not_finite=50),
            ),
        ),
        training=training_record(
            names,
            epochs,
            [
                BatchNormDrift(
                    layer="bn",
                    mean_shift=nan,
                    log_variance_ratio=nan,
                    initial_share=0.0,
                )
            ],
        ),
    )


def make_layers(
    count: int, gradient: float = 0.1, drift: float = 0.0, dead: float = 0.02
) -> tuple[LayerReading, ...]:
    """Returns readings of dense, ReLU and BatchNorm layers in turn."""
    layers = []
    for k in range(count):
        kind = ("dense", "relu", "batch_norm")[k % 3]
        trained = kind != "relu"
        layers.append(
            LayerReading(
                layer=f"net/block{k // 3}/{kind}",
                gradient_norm=gradient * 0.8**k if trained else None,
                gradient_mean=gradient * 0.01 if trained else None,
                weight_norm=3.0 + k if trained else None,
                update_ratio=gradient * 0.01 if trained else None,
                output_mean=0.1,
                output_std=1.0,
                dead_share=dead if kind == "relu" else None,
                mean_shift=drift if kind == "batch_norm" else None,
                log_variance_ratio=drift / 2 if kind == "batch_norm" else None,
            )
        )
    return tuple(layers)


def make_probe(
    classes: int = 3, right: float = 0.9, gap: float = 0.0, onto: int = 0, **changes
) -> ProbeReading:
    """Returns a look at a model that is right on the given share in training mode.

    As far as inference mode falls behind, it answers class `onto`.
    """
    even = (1 - gap) / classes
    shares = tuple(even + gap * (k == onto) for k in range(classes))
    return ProbeReading(
        **{
            "num_examples": 96,
            "training_loss": 2 * (1 - right) + 0.01,
            "training_accuracy": right,
            "inference_loss": 2 * (1 - right) + 4 * gap + 0.01,
            "inference_accuracy": right * (1 - gap) + gap / classes,
            "predicted_shares": shares,
            "true_shares": (1 / classes,) * classes,
            "recalls": (right,) * classes,
            "output_spread": 0.4,
            "layers": make_layers(12, 0.2 * (1.05 - right), 2.5 * gap),
            **changes,
        }
    )


def make_repaired_run() -> ReportInputs:
    """NaN in the fourth epoch; the second attempt at a tenth of the rate succeeds."""
    run = make_good_run()
    assert run.training is not None
    nan = float("nan")
    broken = tuple(
        layer.model_copy(update={"not_finite": ("weights", "gradients")})
        for layer in make_layers(12, 900.0)
    )

    def epoch(loss, right, rate, attempt, probe=None):
        return Epoch(
            loss=loss,
            accuracy=right,
            held_out_loss=loss * 1.1,
            held_out_accuracy=right * 0.97,
            seconds=1.0,
            learning_rate=rate,
            attempt=attempt,
            probe=probe or make_probe(10, right),
        )

    epochs = [
        epoch(2.1, 0.3, 1.0, 0),
        epoch(1.6, 0.5, 1.0, 0),
        epoch(8.0, 0.2, 1.0, 0, make_probe(10, 0.2, 0.7, layers=make_layers(12, 90.0))),
        epoch(nan, 0.1, 1.0, 0, make_probe(10, 0.1, 1.0, 4, layers=broken)),
        *(epoch(1.5 * 0.7**k, 1 - 0.5 * 0.7**k, 0.1, 1) for k in range(12)),
    ]
    training = run.training.model_copy(
        update={
            "num_trainable_parameters": 1_230_000,
            "optimizer": "SGD",
            "loss": "sparse_categorical_crossentropy",
            "epochs": tuple(epochs),
            "best_epoch": 14,
            "resumed_at": (9,),
            "remedies": (
                Remedy(
                    action="lower_learning_rate",
                    cause="not_a_number",
                    rule="NotFinite",
                    epoch=3,
                    back_to_epoch=1,
                    before=1.0,
                    after=0.1,
                    message="The loss became NaN in epoch 4; training went back to "
                    "the weights of epoch 2 at a tenth of the learning rate.",
                    helped=True,
                ),
                Remedy(
                    action="clip_gradients",
                    cause="exploding_gradient",
                    epoch=11,
                    after=1.0,
                    message="Gradients are clipped to a global norm of 1.",
                ),
            ),
            "device": DeviceRecord(
                devices=("GPU: a fast one", "CPU"),
                strategy="mirrored",
                num_replicas=2,
                precision="mixed_bfloat16",
                xla=True,
                notes=("bfloat16 has the range of float32, so no loss is scaled",),
            ),
            "data_fingerprints": {"train": "ab" * 32},
        }
    )
    return dataclasses.replace(run, title="repaired", training=training)


def make_watched_gap_run() -> ReportInputs:
    """Training mode learns, and inference mode falls onto one class."""
    run = make_mode_gap_run()
    assert run.training is not None
    epochs = tuple(
        epoch.model_copy(
            update={
                "learning_rate": 1e-3,
                "probe": make_probe(3, 0.5 + 0.1 * k, min(1.0, 0.25 * k), onto=1),
            }
        )
        for k, epoch in enumerate(improving_epochs(6))
    )
    training = run.training.model_copy(update={"epochs": epochs})
    return dataclasses.replace(run, title="watched-gap", training=training)


def make_transfer_run() -> ReportInputs:
    """A head trained on a frozen base, then two blocks fine-tuned."""
    run = make_good_run()
    assert run.training is not None
    epochs = tuple(
        epoch.model_copy(
            update={
                "phase": "head" if k < 6 else "fine_tuning",
                "learning_rate": 1e-3 if k < 6 else 1e-5,
            }
        )
        for k, epoch in enumerate(improving_epochs(10))
    )
    transfer = TransferRecord(
        backbone="EfficientNetB0",
        weights="imagenet",
        num_base_layers=237,
        unfrozen_layers=30,
        head_held_out_accuracy=0.91,
        tuned_held_out_accuracy=0.95,
        moved=tuple(
            Forgetting(layer=f"block{k}_conv", distance=0.2 / (k + 1))
            for k in range(30)
        ),
        tuning_kept=True,
    )
    training = run.training.model_copy(
        update={"epochs": epochs, "transfer": transfer, "best_epoch": None}
    )
    return dataclasses.replace(run, title="transfer", training=training)


def make_picture(pixels: np.ndarray) -> Picture:
    """Encodes uint8 pixels, shape (height, width) or (height, width, 3), as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Picture(file.getvalue(), pixels.shape[1], pixels.shape[0])


def make_group(number: int, **changes) -> dict:
    """Returns evidence of one digit in train and in eval, as LeakageValidator does."""
    name = f"pictures/{number:016x}.png"
    return {
        "fingerprint": f"{number:032x}",
        "examples": {"train": 2, "eval": 1},
        "num_labels": 1,
        "labels": {"train": {str(number): 2}, "eval": {str(number): 1}},
        "rows": {"train": [f"path=b'{number}.png'"], "eval": [f"path=b'{number}.bmp'"]},
        "pictures": {"train": [name], "eval": [name]},
        **changes,
    }


def make_leak(
    groups: Sequence[dict], cause: str = "duplicate_leakage", **changes
) -> findings.Finding:
    return findings.find(
        cause,
        **{
            "message": "9 of 360 examples of split eval also stand in split train.",
            "subject": Subject(split="eval"),
            "measured": 0.025,
            "limit": 0.0,
            "unit": "share",
            "found_by": "LeakageValidator",
            "evidence": {
                "num_groups": 9,
                "num_examples": 9,
                "share_interval_95": [0.0115, 0.0469],
                "groups": list(groups),
            },
            **changes,
        },
    )


def make_leaked_digits() -> ReportInputs:
    """A run that its data stop: digits in both splits, one of them changed a little."""
    images = load_digits().images[:4] * 15
    pictures = {
        f"pictures/{k:016x}.png": make_picture(image.astype(np.uint8))
        for k, image in enumerate(images)
    }
    near = make_group(3, similarity=0.987, examples={"train": 1, "eval": 1})
    leakage = Verdict.of(
        [
            make_leak([make_group(0), make_group(1), make_group(2)]),
            make_leak([near], "near_duplicate_leakage", message="Almost the same."),
        ]
    )
    features = Verdict.of(
        [
            findings.find(
                "train_eval_skew",
                "Feature height of split eval is 2.54 times that of split train.",
                subject=Subject(split="eval", feature="height"),
                evidence={"signature": "other units", "ratio": 2.54},
            )
        ]
    )
    balance = Verdict.of(
        [findings.find("class_imbalance", "Class 3 is rare in split train.")]
    )
    return ReportInputs(
        verdict=Verdict.of(leakage.findings, features.findings, balance.findings),
        title="digits",
        classes=ClassTable(
            label_key="digit",
            labels=(0, 1, 2, 3),
            train_counts=(40, 41, 39, 3),
            weights=(0.7, 0.7, 0.7, 2.1),
            weighting="effective_number",
            split_counts={"train": (40, 41, 39, 3), "eval": (10, 11, 9, 0)},
        ),
        data={
            "class_balance_findings": DataFindings(balance),
            "leakage_findings": DataFindings(leakage, pictures),
            "feature_findings": DataFindings(features),
        },
    )


def make_judged_on_leaked_digits() -> ReportInputs:
    """A run that goes on all the same, and is judged."""
    run, data = make_mode_gap_run(), make_leaked_digits()
    verdict = Verdict.of(run.verdict.findings, data.verdict.findings)
    assert run.blessing is not None
    return dataclasses.replace(
        run,
        verdict=verdict,
        blessing=run.blessing.model_copy(update={"verdict": verdict}),
        data=data.data,
    )


def make_calibration(
    count: int, confidence: float, accuracy: float
) -> tuple[CalibrationBin, ...]:
    """Returns bins of answers around a confidence, right as often as given on average.

    The shares of the bins fall off to both sides, by half from one to the next.
    """
    bins = NUM_CALIBRATION_BINS
    center = min(int(confidence * bins), bins - 1)
    sizes = [0.5 ** abs(k - center) if k >= 3 else 0.0 for k in range(bins)]
    made = []
    for k, size in enumerate(sizes):
        number = round(count * size / sum(sizes))
        right = min(1.0, accuracy * (0.5 + 0.5 * (k + 1) / bins))
        made.append(
            CalibrationBin(
                num_examples=number,
                confidence_sum=number * (k + 0.5) / bins,
                num_right=round(number * right),
            )
        )
    return tuple(made)


def make_measured_run() -> ReportInputs:
    """Everything that an evaluation can hold: an overconfident, fragile model."""
    run = make_good_run()
    assert run.evaluation is not None
    results = [
        each.model_copy(
            update={
                "calibration": make_calibration(each.num_examples, 0.97, 0.8),
                "num_saturated": each.num_examples // 3,
                "output_range": (0.0, 1.0),
            }
        )
        for each in run.evaluation.results
    ]
    sites = {"north": (30, 0.97), "south": (30, 0.95), "<harbour>": (9, 0.0)}
    for name, (count, accuracy) in sites.items():
        confusion = matrix((count,) * 10, accuracy)
        if not accuracy:
            confusion = collapsed((count,) * 10, 3)
        part = result(CANDIDATE, "eval", confusion, 0.2)
        results.append(part.model_copy(update={"slice": f"site={name}"}))
        results.append(
            part.model_copy(update={"slice": f"site={name}", "model": TRAINING_MODE})
        )

    def pair(other, lost, won=0, distance=0.01, split="eval", **changes):
        return PairedResult(
            other=other,
            split=split,
            both_right=340 - lost,
            only_candidate_right=lost,
            only_other_right=won,
            both_wrong=20 - won,
            mean_distance=distance,
            num_different=lost + won + 1,
            **changes,
        )

    pairs = [
        *run.evaluation.pairs,
        pair(ONE_BY_ONE, 0, distance=3e-8),
        pair(ONE_BY_ONE, 0, distance=2e-8, split="train"),
        pair("shuffled", 2, 1, 0.004),
        *(
            pair(f"{PERTURBED_PREFIX}{name}", lost, 2, lost / 500)
            for name, lost in {
                "brighter": 3,
                "darker": 11,
                "resized": 74,
                "jpeg_quality_75": 0,
                "shift_by_one_pixel": 30,
            }.items()
        ),
        pair(f"{PERTURBED_PREFIX}resized", 9, slice="site=north"),
    ]
    verdict = Verdict.of(
        run.verdict.findings,
        [
            findings.find(
                "collapse",
                "In slice site=<harbour> the model answers 3 to 90 of 90 examples.",
                subject=Subject(split="eval", slice="site=<harbour>"),
                measured=0.0,
                limit=0.1,
                unit="share",
            )
        ],
    )
    assert run.blessing is not None
    return dataclasses.replace(
        run,
        title="measured",
        verdict=verdict,
        blessing=run.blessing.model_copy(update={"verdict": verdict, "blessed": False}),
        push=Push(pushed=False, reason="the model was not blessed"),
        evaluation=run.evaluation.model_copy(
            update={
                "results": tuple(results),
                "pairs": tuple(pairs),
                "unjudged_slices": (
                    UnjudgedSlice(
                        slice="site=east",
                        reason="it has 7 of the 30 examples that are needed.",
                    ),
                ),
            }
        ),
    )


def make_first_format_run() -> ReportInputs:
    """A run of the version whose records had neither slices nor calibration."""
    run = make_good_run()
    assert run.evaluation is not None
    old = run.evaluation.model_dump(mode="json", exclude_defaults=True)
    evaluation = EvaluationRecord.model_validate({**old, "format_version": 1})
    return dataclasses.replace(run, title="older", evaluation=evaluation)


def make_checked_model() -> ReportInputs:
    """A model that was trained elsewhere, and judged only."""
    run = make_measured_run()
    return ReportInputs(
        verdict=Verdict.of(
            [f for f in run.verdict.findings if f.severity is not Severity.BLOCK]
        ),
        title="model.keras",
        evaluation=run.evaluation,
        check=CheckedModel(
            model="models/model.keras",
            train="data/train",
            eval="data/eval",
            not_run=("mode gap: the SavedModel has no signature for training mode.",),
        ),
    )


RUNS: dict[str, Callable[[], ReportInputs]] = {
    "good": make_good_run,
    "mode-gap": make_mode_gap_run,
    "stopped-early": make_stopped_early,
    "hundred-classes": make_many_classes,
    "two-classes": make_two_classes,
    "not-a-number": make_not_a_number,
    "repaired": make_repaired_run,
    "watched-gap": make_watched_gap_run,
    "transfer": make_transfer_run,
    "leaked": make_leaked_digits,
    "leaked-and-judged": make_judged_on_leaked_digits,
    "measured": make_measured_run,
    "first-format": make_first_format_run,
    "checked": make_checked_model,
}


@pytest.fixture
def good_run() -> ReportInputs:
    return make_good_run()


@pytest.fixture
def mode_gap_run() -> ReportInputs:
    return make_mode_gap_run()


@pytest.fixture
def stopped_early() -> ReportInputs:
    return make_stopped_early()


@pytest.fixture
def many_classes() -> ReportInputs:
    return make_many_classes()


@pytest.fixture
def not_a_number_run() -> ReportInputs:
    return make_not_a_number()


@pytest.fixture
def measured_run() -> ReportInputs:
    return make_measured_run()


@pytest.fixture
def first_format_run() -> ReportInputs:
    return make_first_format_run()


@pytest.fixture
def checked_model() -> ReportInputs:
    return make_checked_model()


@pytest.fixture
def repaired_run() -> ReportInputs:
    return make_repaired_run()


@pytest.fixture
def watched_gap_run() -> ReportInputs:
    return make_watched_gap_run()


@pytest.fixture
def transfer_run() -> ReportInputs:
    return make_transfer_run()


@pytest.fixture(scope="session")
def probe():
    return make_probe


@pytest.fixture(scope="session")
def layers():
    return make_layers


@pytest.fixture
def leaked_digits() -> ReportInputs:
    return make_leaked_digits()


@pytest.fixture
def judged_on_leaked_digits() -> ReportInputs:
    return make_judged_on_leaked_digits()


@pytest.fixture(scope="session")
def group():
    return make_group


@pytest.fixture(scope="session")
def leak():
    return make_leak


@pytest.fixture(scope="session")
def picture():
    return make_picture


@pytest.fixture(params=RUNS)
def any_run(request: pytest.FixtureRequest) -> ReportInputs:
    return RUNS[request.param]()
