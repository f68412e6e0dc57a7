# SPDX-License-Identifier: Apache-2.0
import logging
import re
import uuid

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components import artifact_io, registry
from components.artifacts import ClassWeights
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict, find
from components.guarded_pusher.executor import Executor
from components.labels import ClassTable
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.passport import PUSH_FILE, Push


class Bench:
    """A blessed model on disk, and a place to push it to."""

    def __init__(self, root):
        self.destination = root / "destination"
        self.serving = root / "model" / "Format-Serving"
        (self.serving / "variables").mkdir(parents=True)
        (self.serving / "saved_model.pb").write_text("graph")
        (self.serving / "variables" / "variables.index").write_text("weights")
        # Beside the serving model; neither judged by the digest nor pushed.
        (root / "model" / "Format-TFMA").mkdir()
        (root / "model" / "Format-TFMA" / "saved_model.pb").write_text("judged")
        self.model = standard_artifacts.Model()
        self.model.uri = str(root / "model")
        self.model_blessing = standard_artifacts.ModelBlessing()
        self.model_blessing.uri = str(root / "blessing")
        self.pushed_model = standard_artifacts.PushedModel()
        self.pushed_model.uri = str(root / "pushed_model")
        self.inputs = {"model": [self.model], "model_blessing": [self.model_blessing]}
        self.bless()

    def bless(self, mark=1, **changes):
        blessing = Blessing(
            **{
                "blessed": True,
                "model_sha256": model_digest(self.serving),
                "verdict": Verdict(),
                "decided_at": "2026-11-22T10:00:00+00:00",
                "versions": {"tensorflow": tf.__version__},
                **changes,
            }
        )
        artifact_io.write_text(
            self.model_blessing.uri, BLESSING_FILE, blessing.to_json()
        )
        self.model_blessing.set_int_custom_property("blessed", mark)
        self.model_blessing.set_string_custom_property(
            "model_sha256", blessing.model_sha256
        )

    def run(self, keep_versions=None):
        Executor().Do(
            self.inputs,
            {"pushed_model": [self.pushed_model]},
            {"destination": str(self.destination), "keep_versions": keep_versions},
        )
        return Push.from_json(artifact_io.read_text(self.pushed_model.uri, PUSH_FILE))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_pushes_the_blessed_model_with_its_passport(bench):
    push = bench.run()
    folder = bench.destination / push.pushed_version
    assert push == Push(
        pushed=True, pushed_version=folder.name, pushed_destination=str(folder)
    )
    assert (folder / "saved_model.pb").read_text() == "graph"
    assert (folder / "variables" / "variables.index").read_text() == "weights"
    passport = registry.verify(folder)
    assert passport.blessed_at == "2026-11-22T10:00:00+00:00"
    assert passport.versions == {"tensorflow": tf.__version__}
    assert passport.class_names == ()
    assert passport.data == {}


def test_names_the_outcome_as_the_stock_pusher_does(bench):
    push = bench.run()
    get = bench.pushed_model.get_string_custom_property
    assert bench.pushed_model.get_int_custom_property("pushed") == 1
    assert get("pushed_version") == push.pushed_version
    assert get("pushed_destination") == push.pushed_destination
    assert not bench.pushed_model.has_custom_property("reason")


def test_the_passport_tells_classes_and_data_where_they_are_known(bench, tmp_path):
    class_weights, examples = ClassWeights(), standard_artifacts.Examples()
    class_weights.uri = str(tmp_path / "class_weights")
    artifact_io.write_class_table(
        class_weights,
        ClassTable(
            label_key="digit", labels=(3, 8), train_counts=(5, 5), weights=(1.0, 1.0)
        ),
    )
    examples.set_string_custom_property("input_fingerprint", "split:train,num_files:1")
    bench.inputs |= {
        "class_weights": [class_weights],
        "examples": [standard_artifacts.Examples(), examples],
    }
    passport = registry.verify(bench.run().pushed_destination)
    assert passport.class_names == ("3", "8")
    assert passport.data == {"examples/1": "split:train,num_files:1"}


def test_a_second_run_pushes_nothing_new(bench):
    assert bench.run() == bench.run()
    assert len(registry.versions(bench.destination)) == 1


def _remove_blessing(bench):
    del bench.inputs["model_blessing"]


def _write_blessing(text):
    return lambda bench: artifact_io.write_text(
        bench.model_blessing.uri, BLESSING_FILE, text
    )


def _write_bytes(bench):
    path = f"{bench.model_blessing.uri}/{BLESSING_FILE}"
    with open(path, "wb") as file:
        file.write(b"\xff\xfe\x00")


def _tamper(bench):
    (bench.serving / "variables" / "variables.index").write_text("other weights")


def _remove_model(bench):
    tf.io.gfile.rmtree(str(bench.serving))


def _link(bench):
    (bench.serving / "link").symlink_to("saved_model.pb")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_remove_blessing, "no blessing was given", id="no-blessing"),
        pytest.param(
            lambda bench: bench.inputs.update(model_blessing=[]),
            "no blessing was given",
            id="blessing-not-made",
        ),
        pytest.param(
            lambda bench: tf.io.gfile.rmtree(bench.model_blessing.uri),
            "blessing.json",
            id="blessing-empty",
        ),
        pytest.param(_write_blessing(""), "cannot be read", id="blessing-without-text"),
        pytest.param(_write_blessing("BLESSED"), "cannot be read", id="garbled"),
        pytest.param(_write_bytes, "UnicodeDecodeError", id="not-text"),
        pytest.param(
            lambda bench: bench.bless(
                blessed=False,
                verdict=Verdict.of([find("collapse", "99 of 100")]),
                mark=0,
            ),
            "not blessed: blocked: collapse (99 of 100)",
            id="blocked",
        ),
        pytest.param(
            lambda bench: bench.bless(blessed=False), "not blessed", id="only-the-mark"
        ),
        pytest.param(
            lambda bench: bench.bless(mark=0), "`blessed` is not 1", id="no-mark"
        ),
        pytest.param(
            lambda bench: bench.bless(mark=2), "`blessed` is not 1", id="wrong-mark"
        ),
        pytest.param(
            lambda bench: bench.bless(model_sha256="0" * 64),
            "not the one that was blessed",
            id="blessing-of-another-model",
        ),
        pytest.param(_tamper, "not the one that was blessed", id="model-tampered-with"),
        pytest.param(_remove_model, "holds no files", id="model-gone"),
        pytest.param(_link, "symbolic link", id="model-with-link"),
    ],
)
def test_refuses_without_failing(bench, spoil, reason):
    spoil(bench)
    push = bench.run()
    assert not push.pushed
    assert reason in push.reason
    assert "\n" not in push.reason
    assert not bench.destination.exists()
    assert bench.pushed_model.get_int_custom_property("pushed") == 0
    assert bench.pushed_model.get_string_custom_property("reason") == push.reason
    assert not bench.pushed_model.has_custom_property("pushed_version")


def test_a_blessing_without_mark_is_refused(bench):
    unmarked = standard_artifacts.ModelBlessing()
    unmarked.uri = bench.model_blessing.uri
    bench.inputs["model_blessing"] = [unmarked]
    assert "`blessed` is not 1" in bench.run().reason


def test_an_unusable_destination_is_an_error_that_names_it(bench):
    bench.destination.write_text("a file")
    with pytest.raises(InputError, match=re.escape(str(bench.destination))):
        bench.run()


def test_a_url_is_refused_before_anything_is_read(bench):
    with pytest.raises(InputError, match="gs://bucket"):
        Executor().Do({}, {}, {"destination": "gs://bucket"})


@pytest.mark.parametrize("blessed", [True, False])
def test_says_in_one_line_what_it_did(bench, caplog, blessed):
    bench.bless(mark=int(blessed))
    with caplog.at_level(logging.INFO, logger="components.guarded_pusher"):
        push = bench.run()
    lines = [r for r in caplog.records if r.name == "components.guarded_pusher"]
    assert [line.getMessage() for line in lines] == [str(push)]


def test_reads_a_model_that_is_kept_in_an_object_store(bench):
    # TensorFlow's file system in memory is reached by URL, as a bucket is.
    bench.model.uri = f"ram://{uuid.uuid4().hex}/model"
    io_utils.copy_dir(str(bench.serving), f"{bench.model.uri}/Format-Serving")
    assert registry.verify(bench.run().pushed_destination)


def test_a_withdrawn_model_is_refused_with_the_way_back(bench):
    first = bench.run().pushed_version
    (bench.serving / "saved_model.pb").write_text("another graph")
    bench.bless()
    second = bench.run().pushed_version
    registry.rollback(bench.destination)
    push = bench.run()
    assert not push.pushed
    assert f"--to {second}" in push.reason
    assert registry.verify(registry.latest(bench.destination)).restored_from == int(
        first
    )


def test_old_versions_make_room_where_asked(bench):
    for number in range(4):
        (bench.serving / "saved_model.pb").write_text(f"graph {number}")
        bench.bless()
        push = bench.run(keep_versions=2)
    assert len(registry.versions(bench.destination)) == 2
    assert len(push.removed_versions) == 1


def test_no_version_is_removed_unasked(bench):
    for number in range(4):
        (bench.serving / "saved_model.pb").write_text(f"graph {number}")
        bench.bless()
        assert bench.run().removed_versions == ()
    assert len(registry.versions(bench.destination)) == 4


def test_a_push_is_told_though_old_versions_cannot_be_removed(
    bench, monkeypatch, caplog
):
    bench.run()
    (bench.serving / "saved_model.pb").write_text("another graph")
    bench.bless()

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("components.registry.upkeep.move_aside", refuse)
    with caplog.at_level(logging.WARNING):
        push = bench.run(keep_versions=1)
    assert push.pushed
    assert push.removed_versions == ()
    assert len(registry.versions(bench.destination)) == 2
    assert "could not be removed" in caplog.text


def test_a_push_is_told_though_the_destination_closes_behind_it(
    bench, monkeypatch, caplog
):
    def prune(destination, keep):
        raise InputError("the destination is closed")

    monkeypatch.setattr(registry, "prune", prune)
    with caplog.at_level(logging.WARNING):
        assert bench.run(keep_versions=1).pushed
    assert "the destination is closed" in caplog.text


def test_a_digest_edited_in_the_record_is_told(bench):
    marked = bench.model_blessing.get_string_custom_property("model_sha256")
    bench.bless(model_sha256="0" * 64)
    bench.model_blessing.set_string_custom_property("model_sha256", marked)
    assert "not as it was written" in bench.run().reason
