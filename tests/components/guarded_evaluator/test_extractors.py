# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma

from components.guarded_evaluator import models
from components.guarded_evaluator.extractors import (
    BatchSliceKeyExtractor,
    PerturbedPredictionsExtractor,
)
from components.guarded_evaluator.measure import make_eval_config
from components.guarded_evaluator.slicing import Survey


@pytest.fixture(scope="module")
def ask(models_on_disk):
    """Runs the extractor on one batch, without a pipeline."""
    folder = models_on_disk("right").uri + "/Format-Serving"
    model = models.serving_model("candidate", folder)
    shared = tfma.default_eval_shared_model(
        folder, eval_config=make_eval_config([model])
    )

    def run(extracts, changes):
        made = PerturbedPredictionsExtractor(model, shared, changes)
        do_fn = made.ptransform.fn
        do_fn.setup()
        return list(do_fn.process(extracts, changes))

    return run


@pytest.fixture
def batch(blobs, example, softmax):
    rows = blobs["eval"].examples(example)[:6]
    return {
        "input": np.array(rows, object),
        "labels": blobs["eval"].labels[:6],
        "predictions": softmax(2 * blobs["eval"].points[:6]),
        "features": {"guard_sampled": np.arange(6) < 4},
    }


def test_only_the_sample_is_asked_about_again(ask, batch, example):
    zero = example(x=[0.0, 0.0, 0.0], label=0)
    parts = ask(batch, {"all": lambda row: zero})
    assert [len(part["labels"]) for part in parts] == [4, 2]
    asked, others = (part["predictions"] for part in parts)
    np.testing.assert_allclose(asked["perturbed:all"], np.full((4, 3), 1 / 3))
    assert set(others) == {"candidate"}
    # Each example is there once, with what was predicted for it.
    together = np.concatenate([part["predictions"]["candidate"] for part in parts])
    np.testing.assert_array_equal(together, batch["predictions"])


def test_changes_that_apply_to_some_part_the_batch(ask, batch):
    rows = batch["input"].tolist()
    parts = ask(
        batch,
        {
            "even": lambda row: row if rows.index(row) % 2 == 0 else None,
            "none": lambda row: None,
            "all": lambda row: row,
        },
    )
    found = {
        tuple(part["labels"]): set(part["predictions"]) - {"candidate"}
        for part in parts
    }
    labels = batch["labels"]
    assert found == {
        tuple(labels[[0, 2]]): {"perturbed:even", "perturbed:all"},
        tuple(labels[[1, 3]]): {"perturbed:all"},
        tuple(labels[[4, 5]]): set(),
    }
    for part in parts:
        for name in set(part["predictions"]) - {"candidate"}:
            np.testing.assert_allclose(
                part["predictions"][name], part["predictions"]["candidate"], atol=1e-6
            )


def test_outside_of_the_sample_the_model_costs_nothing(ask, batch):
    def fails(row):
        raise AssertionError("asked")

    batch["features"]["guard_sampled"] = np.zeros(6, bool)
    [part] = ask(batch, {"all": fails})
    assert len(part["labels"]) == 6
    [part] = ask({**batch, "features": {"guard_sampled": np.ones(6, bool)}}, {})
    assert set(part["predictions"]) == {"candidate"}


def test_without_a_mark_all_are_asked(ask, batch):
    del batch["features"]
    [part] = ask(batch, {"all": lambda row: row})
    assert part["predictions"]["perturbed:all"].shape == (6, 3)


def test_predictions_by_model_stay(ask, batch):
    batch["predictions"] = {"candidate": batch["predictions"], "baseline": np.eye(6)}
    first, _ = ask(batch, {"all": lambda row: row})
    assert set(first["predictions"]) == {"candidate", "baseline", "perturbed:all"}


def test_changed_examples_that_the_model_cannot_read_are_left_out(ask, batch):
    [part] = ask(batch, {"odd": lambda row: b"no example"})
    assert set(part["predictions"]) == {"candidate"}


def slices(extracts, survey=None):
    fn = BatchSliceKeyExtractor(None).ptransform.fn
    return list(fn.process(extracts, *([] if survey is None else [survey])))


def test_a_batch_is_sliced_by_split_and_feature():
    extracts = {
        "labels": np.arange(4),
        "predictions": {"candidate": np.eye(4)},
        "features": {
            "guard_split": np.array(["eval"] * 4, object),
            "guard_slice:site": np.array(["b", None, "a", "b"], object),
            "guard_slice:id": np.array(list("abcd"), object),
        },
    }
    survey = Survey(frozenset(), {"site": frozenset("ab")}, {"id": "too many"})
    made = {
        tuple(part[tfma.SLICE_KEY_TYPES_KEY][0]): part["labels"].tolist()
        for part in slices(extracts, survey)
    }
    split = ("guard_split", "eval")
    assert made == {
        (split,): [0, 1, 2, 3],
        (split, ("site", "a")): [2],
        (split, ("site", "b")): [0, 3],
    }
    [whole] = slices(extracts)
    assert set(whole) == {"labels", "predictions", tfma.SLICE_KEY_TYPES_KEY}


def test_takes_the_place_of_tfmas_slicing():
    made = BatchSliceKeyExtractor(None)
    assert made.stage_name == "ExtractSliceKeys"
    assert isinstance(made.ptransform, beam.PTransform)
