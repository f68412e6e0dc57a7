# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.dsl.components.common import importer
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts

from components import artifact_io, registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict
from components.guarded_pusher.component import GuardedPusher
from components.latest_blessed_model.component import LatestBlessedModel
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.passport import Passport


def test_declares_a_model():
    latest = LatestBlessedModel(destination="/srv/models", registry_state="17")
    assert latest.id == "LatestBlessedModel"
    assert latest.inputs == {}
    assert latest.outputs["model"].type is standard_artifacts.Model
    assert latest.exec_properties["destination"] == "/srv/models"
    assert latest.exec_properties["registry_state"] == "17"


@pytest.mark.parametrize("destination", ["", "gs://bucket/models"])
def test_refuses_at_once_what_is_no_folder(destination):
    with pytest.raises(InputError, match="destination"):
        LatestBlessedModel(destination=destination)


def test_in_a_pipeline_each_push_gives_a_new_baseline(tmp_path):
    """Moves the newest model of one destination to another, through TFX."""
    first, second = tmp_path / "first", tmp_path / "second"

    def push(text):
        source = tmp_path / text
        source.mkdir()
        (source / "saved_model.pb").write_text(text)
        digest = model_digest(source)
        passport = Passport(model_sha256=digest, verdict=Verdict(), blessed_at="now")
        registry.publish(source, first, passport)
        blessing = Blessing(
            blessed=True, model_sha256=digest, verdict=Verdict(), decided_at="now"
        )
        artifact_io.write_text(
            str(tmp_path / f"{text}-blessing"), BLESSING_FILE, blessing.to_json()
        )

    def run(text):
        latest = LatestBlessedModel(
            destination=str(first), registry_state=registry.state(first)
        )
        blessing = importer.Importer(
            source_uri=str(tmp_path / f"{text}-blessing"),
            artifact_type=standard_artifacts.ModelBlessing,
            custom_properties={
                "blessed": 1,
                "model_sha256": model_digest(tmp_path / text),
            },
        ).with_id("Blessing")
        pusher = GuardedPusher(
            model=latest.outputs["model"],
            model_blessing=blessing.outputs["result"],
            destination=str(second),
        )
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="move",
                pipeline_root=str(tmp_path / "root"),
                components=[latest, blessing, pusher],
                enable_cache=True,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    str(tmp_path / "metadata.db")
                ),
            )
        )
        return (registry.latest(second) / "saved_model.pb").read_text()

    push("old")
    assert run("old") == "old"
    push("new")
    assert run("new") == "new"
    assert run("new") == "new"
    assert len(registry.versions(second)) == 2
