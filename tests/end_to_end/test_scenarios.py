# SPDX-License-Identifier: Apache-2.0
"""The product's promises on real data, as a user runs them."""

import json
import subprocess
import sys
import textwrap

import pytest

from components import registry
from components.records.evaluation import BASELINE, EvaluationRecord

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo in a process of its own, as `make demo` runs it."""
    output = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", "--format", "json"]
        + ["--output", str(output)],
        capture_output=True,
        text=True,
    )
    return done, output


def test_the_demo_is_blessed_and_pushed(demo):
    done, output = demo
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)  # One object, and nothing beside it.
    assert verdict["blessed"] is True
    assert verdict["model"].startswith(str(output / "serving"))
    assert not [f for f in verdict["findings"] if f["severity"] == "block"]


def test_the_library_noise_does_not_reach_the_user(demo):
    done, _ = demo
    for noise in ("WARNING:", "INFO:", "Traceback", "deprecated", "oneDNN"):
        assert noise not in done.stderr


def test_each_step_is_a_line(demo):
    done, _ = demo
    lines = [line.split() for line in done.stderr.splitlines() if "done" in line]
    assert [words[1] for words in lines][-4:] == [
        "GuardedTrainer",
        "GuardedEvaluator",
        "GuardedPusher",
        "Report",
    ]


def test_the_pushed_model_carries_a_passport_that_fits(demo):
    _, output = demo
    version = registry.latest(output / "serving")
    passport = registry.verify(version)
    assert passport.verdict.passed
    assert passport.class_names == tuple("0123456789")


def test_the_pushed_model_answers_without_this_project(demo, tmp_path):
    _, output = demo
    version = registry.latest(output / "serving")
    code = """
        import sys

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {"components", "pipeline", "tfx"}:
                    raise ImportError(f"{name} must not be needed")

        sys.meta_path.insert(0, Refuse())
        import tensorflow as tf

        model = tf.saved_model.load(sys.argv[1])
        assert list(model.signatures) == ["serving_default"]
        examples = list(tf.data.TFRecordDataset(sys.argv[2], "GZIP").take(20))
        answer = model.signatures["serving_default"](tf.stack(examples))
        label = [tf.train.Example.FromString(e.numpy()) for e in examples]
        label = [e.features.feature["label"].int64_list.value[0] for e in label]
        right = sum(int(a) == b for a, b in zip(answer["label"].numpy(), label))
        assert answer["probabilities"].shape == (20, 10)
        assert right >= 18, right
    """
    data = next((output / "data").iterdir())
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(version), str(data)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_the_report_says_the_verdict_and_needs_no_network(demo):
    _, output = demo
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "Promoted" in page
    assert "<svg" in page
    assert "src=" not in page


def test_a_second_run_is_served_from_the_cache_and_compared_with_the_first(
    demo, run_guard
):
    _, output = demo
    first = registry.versions(output / "serving")
    again = run_guard(output=output)
    assert again.code == 0, again.err
    lines = {line.split()[1]: line for line in again.out.splitlines() if "done" in line}
    for step in ("ImportExampleGen", "StatisticsGen", "GuardedTrainer"):
        assert lines[step].endswith("cached"), lines[step]
    # The model in production is new to this run, so it is judged against it.
    assert not lines["GuardedEvaluator"].endswith("cached")
    records = sorted((output / "artifacts").glob("**/guard_evaluation.json"))
    newest = max(records, key=lambda path: path.stat().st_mtime)
    record = EvaluationRecord.from_json(newest.read_text())
    assert record.pair(BASELINE, "eval").only_other_right == 0
    # These very bytes are served already: nothing is published twice.
    assert registry.versions(output / "serving") == first


@pytest.fixture(scope="module")
def broken(run_guard, tmp_path_factory):
    output = tmp_path_factory.mktemp("broken")
    arguments = ["--scenario", "batchnorm-gap", "--format", "json"]
    return run_guard(*arguments, output=output)


def test_batchnorm_gap_is_blocked_for_its_true_cause(broken):
    assert broken.code == 3, broken.err
    assert broken.verdict["blessed"] is False
    first = broken.verdict["findings"][0]
    assert first["cause"] == "mode_gap"
    assert first["severity"] == "block"
    assert first["measured"] > 0.3 > first["limit"]
    assert "inference mode" in first["message"]
    assert "batch_normalization" in first["message"]
    assert "recalibration" in first["remedy"]


def test_batchnorm_gap_pushes_nothing(broken):
    assert broken.verdict["model"] is None
    assert registry.versions(broken.output / "serving") == ()


def test_batchnorm_gap_is_blessed_when_mended(run_guard, tmp_path):
    mended = run_guard(
        "--scenario", "batchnorm-gap", "--mended", "--format", "json", output=tmp_path
    )
    assert mended.code == 0, mended.err
    assert mended.verdict["model"] is not None
    (remedy,) = mended.verdict["remedies"]
    assert (remedy["action"], remedy["cause"], remedy["helped"]) == (
        "lower_batch_norm_momentum",
        "mode_gap",
        True,
    )
    assert mended.verdict["recalibration"]["kept"]
