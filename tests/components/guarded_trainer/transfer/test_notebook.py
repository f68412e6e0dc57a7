# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.errors import InputError
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.transfer import notebook
from components.guarded_trainer.transfer.settings import TransferConfig
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

TRANSFER = TransferConfig(backbone="MobileNet", options={"alpha": 0.25}, weights="none")
PIXELS = np.full((6, 32, 32, 3), 200.0, np.float32)
LABELS = np.array([0, 1, 2] * 2)


def test_pictures_become_a_model_and_a_record(digits, tmp_path):
    pictures, class_ids = digits
    names = ("zero", "one", "two")
    some = np.flatnonzero(class_ids < 3)[:40]
    x, y = pictures[some, ..., None], np.array(names)[class_ids[some]]
    model, record = notebook.fit_transfer(
        TRANSFER,
        (x[:30], y[:30]),
        (x[30:], y[30:]),
        config=TrainingConfig(epochs=1, probe_examples=0),
        class_names=names,
        log_dir=str(tmp_path),
    )
    assert model.predict(x[:2], verbose=0).shape == (2, 3)
    assert record.class_names == names
    assert record.transfer.backbone == "MobileNet"
    assert (record.num_train_examples, record.num_held_out) == (30, 10)
    text = (tmp_path / TRAINING_RECORD_FILE).read_text()
    assert TrainingRecord.from_json(text) == record


@pytest.mark.parametrize(
    ("pixels", "came"),
    [
        pytest.param(PIXELS / 255, "from 0.7843 to 0.7843", id="scaled-to-1"),
        pytest.param(PIXELS / 100 - 3, "from -1 to -1", id="preprocessed"),
        pytest.param(PIXELS * 2, "from 400 to 400", id="too-bright"),
        pytest.param(PIXELS[..., 0], r"got \(6, 32, 32\)", id="no-channels"),
        pytest.param({"a": PIXELS}, "got dict", id="several-inputs"),
    ],
)
def test_what_are_no_pixels_is_refused(pixels, came):
    with pytest.raises(InputError, match=rf"train x: expected .*{came}"):
        notebook.fit_transfer(TRANSFER, (pixels, LABELS))


def test_pixels_to_evaluate_are_looked_at_too():
    with pytest.raises(InputError, match=r"eval x: expected pixels from 0 to 255"):
        notebook.fit_transfer(TRANSFER, (PIXELS, LABELS), (PIXELS / 255, LABELS))


def test_a_misspelt_base_is_refused():
    with pytest.raises(InputError, match="did you mean 'Xception'"):
        notebook.fit_transfer(TransferConfig(backbone="Xeption"), (PIXELS, LABELS))


def test_labels_that_are_missing_are_refused():
    labels = LABELS.astype(float)
    labels[0] = np.nan
    with pytest.raises(InputError, match="some labels are NaN"):
        notebook.fit_transfer(TRANSFER, (PIXELS, labels))
