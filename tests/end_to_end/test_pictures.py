# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures with a leak: stopped, or judged on what is left."""

import re

import pytest

pytestmark = pytest.mark.slow

NUM_EVAL, NUM_LEAKED = 96, 24
"""Pictures of the scenario's evaluation split: its own, and those from training."""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def stopped(output, run_guard):
    arguments = ("--scenario", "leaked-pictures", "--format", "json")
    return run_guard(*arguments, output=output / "stopped")


@pytest.fixture(scope="module")
def quarantined(output, run_guard):
    arguments = ("--scenario", "leaked-pictures", "--mended", "--format", "json")
    return run_guard(*arguments, output=output / "quarantined")


def test_leaked_pictures_stop_the_run_before_training(stopped):
    assert stopped.code == 3, stopped.err
    assert not (stopped.output / "artifacts" / "GuardedTrainer").exists()
    blocking = [f for f in stopped.verdict["findings"] if f["severity"] == "block"]
    causes = {finding["cause"] for finding in blocking}
    assert causes == {"duplicate_leakage", "near_duplicate_leakage"}
    # A finding of each kind: the altered and the merely converted pictures.
    affected = sum(f["measured"] for f in blocking) * (NUM_EVAL + NUM_LEAKED)
    assert affected == pytest.approx(NUM_LEAKED, abs=2)


def test_the_report_shows_the_leaked_pairs(stopped):
    page = (stopped.output / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<img[^>]+src="data:image/png;base64,', page)) >= 4
    assert "copy_00" in page


def test_in_quarantine_the_model_is_judged_on_what_is_left(quarantined):
    assert quarantined.code == 0, (quarantined.err, quarantined.out)
    causes = {f["cause"]: f["severity"] for f in quarantined.verdict["findings"]}
    assert causes["duplicate_leakage"] == causes["near_duplicate_leakage"] == "warn"
    page = (quarantined.output / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
