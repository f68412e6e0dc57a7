# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.findings import Verdict
from components.judging.models import folders
from components.records.model_card import MODEL_CARD_FILE, ModelCard
from components.records.passport import PASSPORT_FILE, Passport

CARD = ModelCard(label_key="kind", labels=(3, 5), batch_size=8)


@pytest.fixture
def save(tmp_path):
    def write(*names):
        for name in names:
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "saved_model.pb").touch()
        return tmp_path

    return write


def test_a_plain_model_tells_nothing_more(save):
    folder = save("model") / "model"
    assert folders.find(folder) == folders.Found(folder)


def test_a_copy_for_judging_tells_classes_and_batch_size(save):
    folder = save("Format-Serving", "Format-TFMA")
    card = folder / "Format-TFMA" / MODEL_CARD_FILE
    card.parent.mkdir()
    card.write_text(CARD.to_json())
    expected = folders.Found(
        folder / "Format-Serving", folder / "Format-TFMA", (3, 5), 8
    )
    assert folders.find(folder) == expected
    assert folders.find(folder / "Format-Serving") == expected


def test_a_model_of_other_trainers_for_tfma_is_no_copy(save):
    folder = save("Format-Serving", "Format-TFMA")
    assert folders.find(folder) == folders.Found(folder / "Format-Serving")


def test_a_pushed_model_tells_its_classes(save):
    folder = save("17")
    passport = Passport(
        model_sha256="0" * 64,
        verdict=Verdict(),
        blessed_at="2026-01-01T00:00:00+00:00",
        class_names=("no", "yes"),
    )
    (folder / "17" / PASSPORT_FILE).write_text(passport.to_json())
    assert folders.find(folder / "17").labels == ("no", "yes")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_passport_of_somebody_else_is_left_alone(save, content):
    folder = save("17")
    (folder / "17" / PASSPORT_FILE).write_bytes(content)
    assert folders.find(folder / "17").labels == ()


def test_a_push_folder_is_refused_with_its_newest_version(save):
    with pytest.raises(InputError, match="judge one of those, such as .*/18"):
        folders.find(save("17", "18"))
