# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.types import channel, standard_artifacts

from components.artifacts import ClassWeights, GuardReport
from components.report.component import Report
from components.report.inputs import DEFAULT_TITLE

BLESSING = channel.Channel(type=standard_artifacts.ModelBlessing)


def test_the_blessing_alone_makes_a_report():
    report = Report(blessing=BLESSING)
    assert set(report.inputs) == {"blessing"}
    assert report.outputs["report"].type is GuardReport
    assert report.exec_properties["title"] == DEFAULT_TITLE


def test_takes_all_records_of_a_run():
    optional = {
        "evaluation": standard_artifacts.ModelEvaluation,
        "model_run": standard_artifacts.ModelRun,
        "class_weights": ClassWeights,
        "pushed_model": standard_artifacts.PushedModel,
    }
    channels = {key: channel.Channel(type=kind) for key, kind in optional.items()}
    report = Report(blessing=BLESSING, title="digits", **channels)
    assert set(report.inputs) == {"blessing", *optional}
    assert report.exec_properties["title"] == "digits"


def test_refuses_what_is_no_blessing():
    with pytest.raises(TypeError, match="blessing"):
        Report(blessing=channel.Channel(type=standard_artifacts.Model))
