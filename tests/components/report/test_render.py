# SPDX-License-Identifier: Apache-2.0
import dataclasses
import html.parser
import random
import re
import subprocess
import sys

import pytest

from components import findings
from components.findings import Subject, Verdict
from components.labels import ClassTable
from components.records.evaluation import UnjudgedSlice
from components.records.training import (
    DeviceRecord,
    Epoch,
    LayerReading,
    Remedy,
    TransferRecord,
)
from components.report import plots
from components.report.inputs import (
    CheckedModel,
    DataFindings,
    Push,
    ReportInputs,
)
from components.report.render import render_report

HOSTILE = "<script>alert('x')</script>"
SECTIONS = (
    "verdict",
    "findings",
    "leaks",
    "distributions",
    "confusion",
    "modes",
    "training",
    "transfer",
    "probe",
    "layers",
    "batchnorm",
    "classes",
    "facts",
)
_VOID = {"meta", "br", "img"}


class Page(html.parser.HTMLParser):
    """Reads a page strictly: each tag closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.tags, self.attributes, self._open = [], set(), [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self._see(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._see(tag, attrs)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def _see(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]


def test_every_run_gives_a_whole_page_that_needs_nothing_but_itself(any_run):
    text = render_report(any_run)
    page = Page(text)
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "could not be drawn" not in text
    assert "None" not in text
    assert not page.tags & {"script", "link", "iframe", "object", "form"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    pictures = [v for name, v in page.attributes if name == "src"]
    assert all(v.startswith("data:image/png;base64,") for v in pictures)
    links = [v for name, v in page.attributes if name == "href"]
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= set(page.ids)
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_the_same_run_gives_the_same_page(mode_gap_run):
    assert render_report(mode_gap_run) == render_report(mode_gap_run)


def test_the_verdict_comes_first_in_words_and_icon(mode_gap_run):
    text = render_report(mode_gap_run)
    body = text[text.index("<main>") :]
    assert body.index("Blocked") < body.index("mode_gap") < body.index("98.0 %")
    assert body.index('id="verdict"') < body.index('id="findings"')
    assert body.index('id="findings"') < body.index('id="distributions"')
    assert 'class="icon"' in body
    assert "<title>Blocked – batchnorm-gap</title>" in text


def test_pictures_say_how_good_and_bad_look(watched_gap_run):
    text = render_report(watched_gap_run)
    pictures = text.count("<figure>")
    assert pictures == 13
    assert text.count("<b>Healthy:</b> ") == pictures
    assert text.count("<b>Unhealthy:</b> ") == pictures
    assert text.count('role="img"') == text.count("aria-label=") - text.count(
        'role="region" aria-label'
    ) - text.count("<nav aria-label")


def test_what_older_records_lack_is_not_mentioned(first_format_run, measured_run):
    page, newer = (
        Page(render_report(run)).ids for run in (first_format_run, measured_run)
    )
    new = {"slices", "calibration", "companions", "changes"}
    assert new <= set(newer)
    assert not new & set(page)


def test_a_model_trained_elsewhere_has_no_file_beside_its_page(checked_model, good_run):
    text = render_report(checked_model)
    assert "verdict.json" not in text
    assert "verdict.json" in render_report(good_run)
    assert "Not run: mode gap: the SavedModel has no signature" in text
    assert "models/model.keras" in text


def test_an_absent_part_is_one_line_and_no_frame(stopped_early):
    text = render_report(stopped_early)
    assert "Split eval has no example of class 3." in text
    assert "<figure" not in text
    assert "No model was trained: what blocks stops a run" in text
    assert "Not measured: this run counted no classes." in text
    assert text.count('class="absent"') == 3


def test_leaked_pictures_stand_side_by_side_and_small_ones_are_enlarged(leaked_digits):
    text = render_report(leaked_digits)
    verdict, leaks, rest = (
        text.index(f'id="{name}"') for name in ("verdict", "leaks", "distributions")
    )
    assert verdict < leaks < rest < text.index('id="findings"')
    first = text[text.index("Group 1 ·") : text.index("Group 2 ·")]
    train, other = first.split('<div class="side">')[1:]
    assert "<bdi>train</bdi></b> 2 examples" in train
    assert "<bdi>eval</bdi></b> 1 example" in other
    image = (
        'width="96" height="96" alt="Example of split eval, label 0" class="enlarged"'
    )
    assert image in other
    assert "image-rendering: pixelated" in text
    assert "similarity 98.7\u202f%" in text
    assert "img-src data:;" in text


def test_a_missing_picture_is_said(leaked_digits):
    found = leaked_digits.data["leakage_findings"]
    data = {
        "leakage_findings": DataFindings(
            found.verdict, {}, {"pictures/0000000000000000.png": "<b>gone</b>"}
        )
    }
    text = render_report(dataclasses.replace(leaked_digits, data=data))
    assert "<img" not in text
    assert "No picture: pictures/0000000000000000.png: &lt;b&gt;gone&lt;/b&gt;" in text
    assert "No picture: pictures/0000000000000001.png: there is no such picture" in text


def test_hostile_texts_in_leaked_groups_are_escaped(leak, group):
    hostile = '"><img src=x onerror=alert(1)>'
    finding = leak(
        [
            group(
                0,
                fingerprint=hostile,
                examples={"train": 1, hostile: 1},
                labels={hostile: {hostile: 1, "\u202elive": 1}},
                rows={hostile: [hostile, "a\x00b\ud800"]},
                pictures={hostile: [hostile], "train": ["../../secret.png"]},
            )
        ],
        subject=Subject(split=hostile),
    )
    evidence = {**finding.evidence, hostile: [{hostile: hostile}, {hostile: [hostile]}]}
    verdict = Verdict.of([finding.model_copy(update={"evidence": evidence})])
    inputs = ReportInputs(
        verdict=verdict, data={"leakage_findings": DataFindings(verdict)}
    )
    text = render_report(inputs)
    page = Page(text)
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in text
    assert "\ufffdlive" in text
    text.encode("utf-8")


def test_every_text_from_data_is_escaped(mode_gap_run, probe):
    verdict = Verdict.of(
        [
            findings.find(
                "collapse",
                HOSTILE,
                remedy=HOSTILE,
                subject=Subject(split=HOSTILE, class_name=HOSTILE, layer=HOSTILE),
                unit=HOSTILE,
                measured=1,
                limit=2,
                found_by=HOSTILE,
                evidence={HOSTILE: HOSTILE},
            )
        ]
    )
    hostile_names = (HOSTILE, "b", "c")
    evaluation = mode_gap_run.evaluation
    results = [
        result.model_copy(update={"split": HOSTILE})
        for result in evaluation.results
        if result.split == "eval"
    ]
    sliced = [
        result.model_copy(update={"slice": f"{HOSTILE}={HOSTILE}"})
        for result in results
    ]
    pairs = [
        pair.model_copy(update={"other": f"perturbed:{HOSTILE}", "split": HOSTILE})
        for pair in evaluation.pairs
    ]
    training = mode_gap_run.training
    batch_norm = training.batch_norm[0].model_copy(update={"layer": HOSTILE})
    text = render_report(
        ReportInputs(
            verdict=verdict,
            title=HOSTILE,
            blessing=mode_gap_run.blessing.model_copy(
                update={
                    "model_sha256": HOSTILE,
                    "decided_at": HOSTILE,
                    "versions": {HOSTILE: HOSTILE},
                }
            ),
            evaluation=evaluation.model_copy(
                update={
                    "class_names": hostile_names,
                    "results": (*results, *sliced),
                    "pairs": (
                        *pairs,
                        *(pair.model_copy(update={"other": HOSTILE}) for pair in pairs),
                    ),
                    "unjudged_slices": (UnjudgedSlice(slice=HOSTILE, reason=HOSTILE),),
                }
            ),
            training=training.model_copy(
                update={
                    "batch_norm": (batch_norm,),
                    "stopped_because": HOSTILE,
                    "devices": (HOSTILE,),
                    "optimizer": HOSTILE,
                    "loss": HOSTILE,
                    "class_names": (HOSTILE, "b", "c"),
                    "epochs": (
                        Epoch(
                            phase=HOSTILE,
                            loss=1.0,
                            probe=probe(
                                layers=[
                                    LayerReading(
                                        layer=HOSTILE,
                                        gradient_norm=1.0,
                                        not_finite=(HOSTILE,),
                                    )
                                ]
                            ),
                        ),
                    ),
                    "remedies": (
                        Remedy(
                            action=HOSTILE,
                            cause=HOSTILE,
                            rule=HOSTILE,
                            epoch=0,
                            message=HOSTILE,
                        ),
                    ),
                    "device": DeviceRecord(
                        devices=(HOSTILE,),
                        strategy=HOSTILE,
                        precision=HOSTILE,
                        notes=(HOSTILE,),
                    ),
                    "transfer": TransferRecord(
                        backbone=HOSTILE,
                        weights=HOSTILE,
                        num_base_layers=1,
                        unfrozen_layers=1,
                    ),
                    "data_fingerprints": {HOSTILE: HOSTILE},
                }
            ),
            classes=ClassTable(
                label_key=HOSTILE,
                labels=hostile_names,
                train_counts=(1, 2, 3),
                weights=(1, 2, 3),
                weighting=HOSTILE,
            ),
            push=Push(pushed=False, reason=HOSTILE),
            check=CheckedModel(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),
        )
    )
    assert "<script" not in text
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;" in text
    assert "could not be drawn" not in text
    assert "default-src 'none'" in text


def test_texts_that_html_cannot_carry_are_made_visible():
    verdict = Verdict.of([findings.find("collapse", "a\x00b\ud800c")])
    text = render_report(ReportInputs(verdict=verdict, title="\x1b[31m"))
    assert "a\ufffdb\ufffdc" in text
    assert "\x1b" not in text
    text.encode("utf-8")


def test_a_picture_that_fails_leaves_the_verdict_standing(mode_gap_run, monkeypatch):
    def fail(chart):
        raise RuntimeError("<no pen>")

    monkeypatch.setattr(plots, "draw", fail)
    text = render_report(mode_gap_run)
    assert "Blocked" in text
    assert "Split eval could not be drawn: RuntimeError." in text
    assert "33.3\u202f%" in text


@pytest.mark.parametrize("length", [1, 500])
def test_class_names_of_any_length_are_shown_whole_in_the_table(good_run, length):
    labels = tuple(f"{k}" + "x" * length for k in range(10))
    classes = good_run.classes.model_copy(update={"labels": labels})
    evaluation = good_run.evaluation.model_copy(update={"class_names": labels})
    text = render_report(
        dataclasses.replace(good_run, classes=classes, evaluation=evaluation)
    )
    assert f"<bdi>{labels[3]}</bdi>" in text
    assert "could not be drawn" not in text


def test_a_page_of_a_long_training_of_a_large_model_stays_small(
    good_run, probe, layers
):
    rng = random.Random(0)
    looks = [
        probe(
            10,
            layers=tuple(
                layer.model_copy(update={"dead_share": rng.random()})
                for layer in layers(200, 10 ** rng.uniform(-9, 3))
            ),
        )
        for _ in range(10)
    ]
    epochs = [Epoch(loss=rng.random(), probe=rng.choice(looks)) for _ in range(500)]
    training = good_run.training.model_copy(update={"epochs": tuple(epochs)})
    text = render_report(ReportInputs(verdict=Verdict(), training=training))
    assert len(text) < 1_000_000


_WITHOUT_HEAVY_MODULES = """
import sys
from components.findings import Verdict
from components.labels import ClassTable
from components.report.inputs import ReportInputs
from components.report.render import render_report

classes = ClassTable(label_key="y", labels=(0, 1), train_counts=(1, 2), weights=(2, 1))
assert "<figure>" in render_report(ReportInputs(verdict=Verdict(), classes=classes))
heavy = {"tfx", "tensorflow", "apache_beam", "keras", "matplotlib.pyplot"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""


def test_a_page_is_rendered_without_tfx_tensorflow_or_pyplot():
    subprocess.run([sys.executable, "-c", _WITHOUT_HEAVY_MODULES], check=True)
