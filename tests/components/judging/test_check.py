# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.judging.check import check_files
from components.judging.judge import judge
from components.records.evaluation import BASELINE, CANDIDATE

COLUMNS = ("height", "width", "depth")


def causes(judgement):
    return [finding.cause for finding in judgement.blocking]


@pytest.fixture
def write_csv(tmp_path):
    def write(name, x, y, columns=COLUMNS, label="kind"):
        rows = [",".join((*columns, label))]
        rows += [",".join(map(str, (*row, k))) for row, k in zip(x, y, strict=True)]
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n")
        return path

    return write


@pytest.fixture
def tables(write_csv, blobs):
    names = np.array(["ash", "birch", "cedar"])
    return [
        write_csv(f"{split}.csv", x.tolist(), names[y])
        for split, (x, y) in zip(("train", "eval"), blobs, strict=True)
    ]


@pytest.fixture
def saved(tmp_path):
    def save(model, name="model.keras"):
        model.save(tmp_path / name)
        return tmp_path / name

    return save


def check(model, train, eval, **options):
    return check_files(
        model, train, eval, **{"label": "kind", "data_checks": False, **options}
    )


def test_files_come_to_the_numbers_of_arrays(saved, tables, corners, blobs):
    ours = check(saved(corners), *tables)
    theirs = judge(corners, *blobs, data_checks=False)
    assert ours.passed, ours.table()
    assert ours.evaluation.class_names == ("ash", "birch", "cedar")
    for split in ("train", "eval"):
        results = [r.evaluation.result(CANDIDATE, split) for r in (ours, theirs)]
        assert results[0].confusion == results[1].confusion


def test_a_mode_gap_is_found_in_a_file_and_named(saved, tables, lagging):
    judgement = check(saved(lagging), *tables)
    assert causes(judgement)[0] == "mode_gap"
    assert "norm (mean off by" in judgement.blocking[0].message


def test_a_saved_model_needs_its_keras_file_for_that(saved, tables, lagging, tmp_path):
    path = saved(lagging)
    lagging.export(str(tmp_path / "model"), verbose=False)
    without = check(tmp_path / "model", *tables)
    assert "check_failed" in causes(without)
    assert "`.keras` file" in without.table()
    beside = check(tmp_path / "model", *tables, keras_model=path)
    assert causes(beside)[0] == "mode_gap"


def test_the_model_in_production_may_be_a_file_too(saved, tables, corners, lagging):
    judgement = check(
        saved(lagging), *tables, baseline=saved(corners, "old.keras"), batch_size=16
    )
    assert judgement.evaluation.pair(BASELINE, "eval") is not None


def test_limits_and_steps_reach_where_they_belong(saved, tables, corners):
    steps = []
    judgement = check(
        saved(corners),
        *tables,
        config=EvaluationConfig(min_accuracy=0.999),
        on_step=steps.append,
    )
    assert causes(judgement) == ["below_threshold"]
    assert steps == [
        "loading the model",
        "reading the data",
        "asking the model",
        "deciding",
    ]


def test_other_features_than_the_models_are_refused_by_name(
    saved, write_csv, corners, blobs
):
    (x, y), _ = blobs
    files = [
        write_csv(name, x[:, :2].tolist(), y, COLUMNS[:2])
        for name in ("train.csv", "eval.csv")
    ]
    with pytest.raises(InputError, match=r"train\.csv: expected.*shape \(3,\).*height"):
        check(saved(corners), *files)


def test_arrays_in_files_are_judged(saved, tmp_path, corners, blobs):
    for name, (x, y) in zip(("train", "eval"), blobs, strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    judgement = check_files(
        saved(corners),
        tmp_path / "train.npz",
        tmp_path / "eval.npz",
        data_checks=False,
    )
    assert judgement.passed, judgement.table()


class TestPictures:
    """A model of the brightness, from 0 to 1, on pictures of 0 to 255."""

    @pytest.fixture
    def folders(self, tmp_path):
        rng = np.random.default_rng(0)
        for split in ("train", "eval"):
            for name, level in (("bright", 190), ("dark", 60)):
                folder = tmp_path / split / name
                folder.mkdir(parents=True)
                for i in range(40):
                    noise = rng.integers(-50, 50, (8, 8))
                    pixels = (level + noise).astype(np.uint8)
                    Image.fromarray(pixels).save(folder / f"{i}.png")
        return tmp_path / "train", tmp_path / "eval"

    @pytest.fixture
    def path(self, saved):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        model.layers[-1].set_weights([np.array([[20.0, -20.0]]), np.array([-10, 10])])
        return saved(model)

    def test_the_wrong_range_is_named_first(self, path, folders):
        judgement = check(path, *folders)
        assert causes(judgement)[0] == "unscaled_input"
        assert "--pixels 0..1" in judgement.blocking[0].remedy

    def test_the_right_range_passes(self, path, folders):
        judgement = check(path, *folders, pixels="0..1")
        assert judgement.passed, judgement.table()
        assert judgement.evaluation.class_names == ("bright", "dark")
        assert judgement.evaluation.pair("perturbed:jpeg", "eval").num_examples == 80
