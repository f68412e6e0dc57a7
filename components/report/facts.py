# SPDX-License-Identifier: Apache-2.0
"""The foot of the page: what somebody needs to find or repeat the run."""

from components.labels import ClassTable
from components.records.evaluation import CANDIDATE
from components.records.training import TrainingRecord
from components.report import charts, distribution_charts, formats
from components.report.inputs import ReportInputs


def list_facts(inputs: ReportInputs) -> tuple[tuple[str, str], ...]:
    """Lists name and value of what is known about the run; empty if nothing is."""
    facts: list[tuple[str, str]] = []
    blessing, push = inputs.blessing, inputs.push
    if inputs.check is not None:
        facts += [
            ("Model", formats.clean(inputs.check.model)),
            ("Trained on", formats.clean(inputs.check.train)),
            ("Judged on", formats.clean(inputs.check.eval)),
        ]
    if blessing is not None:
        facts.append(("Decided", formats.moment(blessing.decided_at)))
        facts.append(
            ("Model (SHA-256)", blessing.model_sha256 or "the model could not be read")
        )
    if push is not None and push.pushed:
        facts.append(("Pushed as", formats.name(push.version)))
        if push.destination:
            facts.append(("Pushed to", formats.clean(push.destination)))
    if inputs.evaluation is not None:
        for split in charts.ordered_splits(inputs.evaluation):
            result = inputs.evaluation.result(CANDIDATE, split)
            if result is not None:
                examples = formats.counted(result.num_examples, "example")
                facts.append((f"Evaluated on {formats.name(split)}", examples))
    if inputs.training is not None:
        facts += _training_facts(inputs.training)
    if not inputs.has_model and inputs.classes is not None:
        facts += _data_facts(inputs.classes)
    return tuple(facts)


def _data_facts(classes: ClassTable) -> list[tuple[str, str]]:
    return [
        ("Label", formats.name(classes.label_key)),
        ("Classes", formats.count(len(classes.labels))),
        *(
            (
                f"Labelled in {formats.name(split)}",
                formats.counted(sum(counts), "example"),
            )
            for split, counts in distribution_charts.split_counts(classes).items()
        ),
    ]


def _training_facts(training: TrainingRecord) -> list[tuple[str, str]]:
    devices = ", ".join(map(formats.clean, training.devices or training.device.devices))
    parameters = formats.count(training.num_parameters)
    if training.num_trainable_parameters is not None:
        parameters += f", {formats.count(training.num_trainable_parameters)} trainable"
    return [
        ("Trained on", formats.counted(training.num_train_examples, "example")),
        ("Held out of training", formats.counted(training.num_held_out, "example")),
        ("Parameters", parameters),
        *(
            (name, formats.clean(value))
            for name, value in (
                ("Optimizer", training.optimizer),
                ("Loss", training.loss),
            )
            if value
        ),
        ("Batch size", formats.count(training.batch_size)),
        ("Steps per epoch", formats.count(training.steps_per_epoch)),
        ("Epochs", formats.count(len(training.epochs))),
        ("Training time", formats.duration(training.seconds)),
        ("Seed", str(training.seed)),
        ("Devices", devices or formats.NOT_MEASURED),
        (
            "Exported model differs by at most",
            formats.NOT_MEASURED
            if training.export_max_difference is None
            else f"{formats.number(training.export_max_difference)} (probability)",
        ),
        *(
            (f"Data of {formats.name(split)} (SHA-256)", formats.clean(digest))
            for split, digest in sorted(training.data_fingerprints.items())
        ),
    ]


def list_versions(inputs: ReportInputs) -> tuple[tuple[str, str], ...]:
    """Merges the versions that trained and judged; both are named if they differ."""
    trained = inputs.training.versions if inputs.training else {}
    judged = inputs.blessing.versions if inputs.blessing else {}
    merged = []
    for library in sorted({*trained, *judged}):
        made_by = dict.fromkeys(v[library] for v in (trained, judged) if library in v)
        text = " (training), ".join(made_by) + (
            " (evaluation)" if len(made_by) > 1 else ""
        )
        merged.append((formats.clean(library), formats.clean(text)))
    return tuple(merged)
