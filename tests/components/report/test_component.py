# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.types import channel, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings, GuardReport
from components.errors import InputError
from components.report.component import DataReport, Report
from components.report.inputs import DATA_FINDINGS, DEFAULT_TITLE

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
        **dict.fromkeys(DATA_FINDINGS, GuardFindings),
    }
    channels = {key: channel.Channel(type=kind) for key, kind in optional.items()}
    report = Report(blessing=BLESSING, title="digits", **channels)
    assert set(report.inputs) == {"blessing", *optional}
    assert report.exec_properties["title"] == "digits"


def test_refuses_what_is_no_blessing():
    with pytest.raises(TypeError, match="blessing"):
        Report(blessing=channel.Channel(type=standard_artifacts.Model))


@pytest.mark.parametrize("key", DATA_FINDINGS)
def test_one_channel_of_findings_makes_a_report_on_the_data(key):
    report = DataReport(**{key: channel.Channel(type=GuardFindings)})
    assert set(report.inputs) == {key}
    assert report.outputs["report"].type is GuardReport
    assert report.exec_properties["title"] == DEFAULT_TITLE


def test_a_report_on_the_data_takes_all_of_them_and_the_classes():
    channels = {key: channel.Channel(type=GuardFindings) for key in DATA_FINDINGS}
    weights = channel.Channel(type=ClassWeights)
    report = DataReport(**channels, class_weights=weights, title="digits")
    assert set(report.inputs) == {*DATA_FINDINGS, "class_weights"}
    assert report.exec_properties["title"] == "digits"


def test_a_report_on_the_data_needs_findings():
    with pytest.raises(InputError, match="at least one of class_balance_findings"):
        DataReport(class_weights=channel.Channel(type=ClassWeights))
