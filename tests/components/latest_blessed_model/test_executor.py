# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict
from components.latest_blessed_model.executor import NO_MODEL_FILE, Executor
from components.records.passport import PASSPORT_FILE, Passport


def push(root, text):
    source = root / f"source-{text}"
    (source / "assets").mkdir(parents=True)
    (source / "saved_model.pb").write_text(text)
    # A file of the model that is called like the passport, but lies deeper.
    (source / "assets" / PASSPORT_FILE).write_text(text)
    passport = Passport(
        model_sha256=model_digest(source),
        verdict=Verdict(),
        blessed_at="now",
        class_names=("a", "b"),
    )
    return registry.publish(source, root / "pushed", passport)


def run(root):
    model = standard_artifacts.Model()
    model.uri = str(root / "baseline")
    Executor().Do({}, {"model": [model]}, {"destination": str(root / "pushed")})
    return model


def test_copies_the_newest_model_without_its_passport(tmp_path):
    push(tmp_path, "old")
    newest = push(tmp_path, "new")
    model = run(tmp_path)
    assert model.get_int_custom_property("found") == 1
    assert model.get_string_custom_property("version") == newest.name
    assert model.get_string_custom_property("class_names") == '["a", "b"]'
    copy = path_utils.serving_model_path(model.uri)
    assert model_digest(copy) == registry.verify(newest).model_sha256


@pytest.mark.parametrize("made", [False, True], ids=["no-destination", "empty"])
def test_the_first_run_finds_none_and_leaves_a_mark(tmp_path, made):
    if made:
        (tmp_path / "pushed").mkdir()
    model = run(tmp_path)
    assert model.has_custom_property("found")
    assert model.get_int_custom_property("found") == 0
    assert not model.has_custom_property("version")
    assert [path.name for path in (tmp_path / "baseline").iterdir()] == [NO_MODEL_FILE]


def test_a_model_that_nobody_judged_is_no_baseline(tmp_path):
    (tmp_path / "pushed" / "17").mkdir(parents=True)
    (tmp_path / "pushed" / "17" / "saved_model.pb").write_text("foreign")
    assert run(tmp_path).get_int_custom_property("found") == 0


def _change_model(folder):
    (folder / "saved_model.pb").write_text("changed")


def _garble_passport(folder):
    (folder / PASSPORT_FILE).write_text("{")


def _forge_digest(folder):
    passport = json.loads((folder / PASSPORT_FILE).read_text())
    (folder / PASSPORT_FILE).write_text(
        json.dumps({**passport, "model_sha256": "0" * 64})
    )


@pytest.mark.parametrize("tamper", [_change_model, _garble_passport, _forge_digest])
def test_a_model_changed_in_production_is_a_loud_error(tmp_path, tamper):
    push(tmp_path, "old")
    newest = push(tmp_path, "new")
    tamper(newest)
    with pytest.raises(InputError, match=re.escape(str(newest))):
        run(tmp_path)
    assert not (tmp_path / "baseline").exists()


def test_an_unusable_destination_is_an_error_that_names_it(tmp_path):
    (tmp_path / "pushed").write_text("a file")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "pushed"))):
        run(tmp_path)
