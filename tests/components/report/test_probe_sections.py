# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from components.findings import Verdict
from components.records.training import Epoch, LayerReading
from components.report import probe_sections
from components.report.inputs import ReportInputs
from components.report.probe_sections import layers_section, probe_section

SECTIONS = pytest.mark.parametrize(
    "make", [probe_section, layers_section], ids=["probe", "layers"]
)


@pytest.fixture
def watched(good_run):
    """Returns a run with the given looks at its model."""

    def watched(*probes, **changes):
        training = good_run.training.model_copy(
            update={"epochs": tuple(Epoch(probe=p) for p in probes), **changes}
        )
        return dataclasses.replace(good_run, training=training)

    return watched


@SECTIONS
def test_without_a_probe_one_line_says_so(make, good_run, watched):
    assert "no record of a training" in make(ReportInputs(verdict=Verdict())).absent
    for inputs in (good_run, watched(None, None), watched()):
        section = make(inputs)
        assert section.absent.startswith("Not measured: the trainer looked at no probe")
        assert section.figures == ()
    unread = ReportInputs(verdict=Verdict(), unreadable={"training": "gone"})
    assert make(unread).absent == "Could not be read: gone"


@SECTIONS
def test_a_record_of_format_1_has_no_probes(make, watched):
    section = make(watched(None, format_version=1))
    assert "of format 1, which has no probes; a new training" in section.absent


@SECTIONS
def test_every_picture_says_how_good_and_bad_look(make, repaired_run):
    section = make(repaired_run)
    assert section.figures
    for figure in section.figures:
        assert figure.charts
        assert figure.healthy.endswith(".")
        assert figure.unhealthy.endswith(".")


def test_both_modes_and_the_predicted_classes_are_shown(watched_gap_run):
    section = probe_section(watched_gap_run)
    assert [[chart.id for chart in f.charts] for f in section.figures] == [
        ["probe-accuracy", "probe-loss"],
        ["probe-classes"],
    ]
    assert "the same 96 examples" in section.intro[0]


def test_a_probe_without_layers_shows_no_layers(watched, probe):
    inputs = watched(probe(10, layers=()))
    assert layers_section(inputs).absent
    assert not probe_section(inputs).absent


def test_four_maps_are_shown_where_the_model_has_all_layers(repaired_run):
    section = layers_section(repaired_run)
    assert [figure.charts[0].id for figure in section.figures] == [
        "layers-gradients",
        "layers-updates",
        "layers-idle",
        "layers-batchnorm",
    ]
    assert section.table_open


def test_the_table_has_the_numbers_of_the_last_look(watched, probe, layers):
    broken = LayerReading(layer="<b>", not_finite=("weights", "gradients"))
    inputs = watched(probe(10), probe(10, layers=(*layers(2), broken)), None)
    table = layers_section(inputs).table
    assert table.rows[0] == (
        "net/block0/dense",
        "0.1",
        "3",
        "0.001",
        "0.1",
        "1",
        "–",
        "–",
        "–",
    )
    assert table.rows[1][6] == "2.0\u202f%"
    assert table.rows[2] == ("<b>", *("–",) * 7, "weights, gradients")
    assert {len(row) for row in table.rows} == {len(table.header)}


@pytest.mark.parametrize(
    ("count", "rows"),
    [
        (probe_sections.MAX_LAYERS, probe_sections.MAX_LAYERS),
        (probe_sections.MAX_LAYERS + 1, probe_sections.MAX_LAYERS),
    ],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_the_table_is_bounded_and_says_so(watched, probe, layers, count, rows):
    section = layers_section(watched(probe(10, layers=layers(count))))
    assert len(section.table.rows) == rows
    assert any("The table has the first" in text for text in section.intro) is (
        count > rows
    )
    assert not section.table_open
