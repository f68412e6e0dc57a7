# SPDX-License-Identifier: Apache-2.0
import json
import math

import jsonschema
import pytest

from components.findings import find
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
from pipeline import schemas

NAN, INFINITE = math.nan, math.inf
RECORD = TrainingRecord(
    class_names=("a", "b"),
    num_parameters=10,
    num_train_examples=90,
    num_held_out=10,
    batch_size=32,
    steps_per_epoch=3,
    epochs=(
        Epoch(),
        Epoch(
            loss=NAN,
            accuracy=0.5,
            held_out_loss=INFINITE,
            learning_rate=1.0,
            probe=ProbeReading(
                num_examples=9,
                training_loss=-INFINITE,
                predicted_shares=(0.0, 1.0),
                recalls=(None, 1.0),
                layers=(
                    LayerReading(
                        layer="dense", gradient_norm=INFINITE, not_finite=("weights",)
                    ),
                ),
            ),
        ),
    ),
    best_epoch=None,
    stopped_because="the loss became NaN",
    remedies=(
        Remedy(
            action="lower_learning_rate",
            cause="not_a_number",
            epoch=1,
            back_to_epoch=-1,
            before=1.0,
            after=0.1,
            message="",
        ),
    ),
    batch_norm=(
        BatchNormDrift(
            layer="bn", mean_shift=NAN, log_variance_ratio=1.0, initial_share=0.0
        ),
    ),
    recalibration=Recalibration(
        kept=False,
        num_examples=90,
        num_held_out=0,
        loss_before=NAN,
        loss_after=None,
        accuracy_before=0.5,
        accuracy_after=0.5,
    ),
    transfer=TransferRecord(
        backbone="Xception",
        weights="none",
        num_base_layers=2,
        unfrozen_layers=0,
        moved=(Forgetting(layer="conv", distance=INFINITE),),
    ),
    findings=(find("not_a_number", "The loss is NaN.", measured=INFINITE),),
    seed=0,
    seconds=1.5,
    versions={"keras": "3"},
    device=DeviceRecord(devices=("CPU",), notes=("why",)),
)


@pytest.mark.parametrize(("name", "text"), schemas.render().items())
def test_schema_on_disk_is_fresh(name, text):
    on_disk = (schemas.FOLDER / name).read_text(encoding="utf-8")
    assert on_disk == text, "run `python -m pipeline.schemas`"


def test_no_other_schema_is_left_over():
    on_disk = {path.name for path in schemas.FOLDER.glob("*.schema.json")}
    assert on_disk == set(schemas.render())


def valid(name, document):
    schema = json.loads(schemas.render()[f"{name}.schema.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(document)


def test_a_record_of_a_failed_training_fits_its_schema():
    document = json.loads(RECORD.to_json())
    assert document["epochs"][1]["loss"] == "NaN"
    assert valid("training_record", document)


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": "a while"},
        {"epochs": [{"loss": "nan"}]},
        {"epochs": [{"losses": 1.0}]},
        {"remedies": [{"action": "x"}]},
        {"seed": "NaN"},
    ],
    ids=["word", "other-word", "unknown-key", "parts-missing", "integer"],
)
def test_what_no_trainer_writes_does_not_fit_the_schema(changes):
    assert not valid("training_record", {**json.loads(RECORD.to_json()), **changes})


def test_numbers_that_people_write_must_be_finite():
    assert '"NaN"' not in schemas.render()["guard.schema.json"]
