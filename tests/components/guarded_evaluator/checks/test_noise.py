# SPDX-License-Identifier: Apache-2.0
"""Noise does not block a healthy model, and does not save a bad one."""

import collections
import dataclasses

import numpy as np
import pytest

from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.decision import decide

NUM_MODELS = 150


class Model:
    """A model of K classes, each recognised with a probability of its own."""

    def __init__(self, rng, recalls):
        self.rng = rng
        self.recalls = np.asarray(recalls)

    def predict(self, labels):
        size = len(self.recalls)
        others = (labels + self.rng.integers(1, size, len(labels))) % size
        return np.where(self.hits(labels), labels, others)

    def predict_again(self, labels, predicted, churn):
        """What the same model answers in a mode that changes some answers."""
        changed = self.rng.random(len(labels)) < churn
        return np.where(changed, self.predict(labels), predicted)

    def hits(self, labels):
        return self.rng.random(len(labels)) < self.recalls[labels]


def draw_labels(rng, size, count, imbalance):
    """At least ten of each class, then by shares that fall by a factor in all."""
    shares = np.geomspace(1, imbalance, size)
    drawn = rng.choice(size, max(count - 10 * size, 0), p=shares / shares.sum())
    return np.concatenate([np.repeat(np.arange(size), 10), drawn])


def draw_problem(rng):
    size = int(rng.choice([2, 3, 10, 100]))
    count = int(rng.choice([50, 200, 1000, 5000]))
    imbalance = rng.choice([1, 0.1, 0.01])
    labels = draw_labels(rng, size, count, imbalance)
    return size, labels, draw_labels(rng, size, 4 * len(labels), imbalance)


def healthy_evidence(rng, make_evidence):
    """Anything from mediocre to excellent, with classes easier and harder."""
    size, labels, train_labels = draw_problem(rng)
    guessing = 1 / size
    recalls = rng.beta(8, 2, size) * (1 - guessing) + guessing
    model = Model(rng, np.clip(recalls, 0.35 + guessing / 2, 0.995))
    # Every model is a little better on what it has trained on.
    fitted = Model(rng, np.minimum(model.recalls + 0.03, 1))
    predicted = model.predict(labels)
    train_predicted = fitted.predict(train_labels)
    churn, train_churn = rng.uniform(0, 0.3, 2)
    accuracy = np.mean(predicted == labels)
    return make_evidence(
        (labels, predicted),
        (train_labels, train_predicted),
        num_classes=size,
        training_mode=model.predict_again(labels, predicted, churn),
        batch_statistics=model.predict_again(labels, predicted, churn / 3),
        train_training_mode=fitted.predict_again(
            train_labels, train_predicted, train_churn
        ),
        baseline=model.predict(labels),
        distance=rng.uniform(0, 0.4),
        alone=rng.uniform(0, 1e-3),
        perturbed={
            name: model.predict_again(labels, predicted, churn / 3)
            for name in ("brightness", "jpeg", "shift")
        },
        judged_fields={"confidence": min(accuracy + rng.uniform(0, 0.1), 1)},
        by_slice=draw_slices(rng, labels),
        slices=("site",),
    )


def draw_slices(rng, labels):
    """Up to ten slices of uneven size; classes are not shared out evenly."""
    num_slices = int(rng.choice([1, 3, 10])) if labels.max() < 10 else 1
    liking = rng.dirichlet(np.full(num_slices, 2.0), labels.max() + 1)
    ends = np.cumsum(liking, axis=1)[labels]
    site = (rng.random(len(labels))[:, None] > ends).sum(axis=1).clip(0, num_slices - 1)
    slices = {f"site={k}": np.flatnonzero(site == k) for k in range(num_slices)}
    # Of small ones nothing can be said; of one at least something can.
    return {**slices, "site=all": np.arange(len(labels))}


def bad_evidence(rng, make_evidence):
    """Each of the ways to fail, at an ordinary size of the evaluation split."""
    size = int(rng.choice([2, 3, 10]))
    imbalance = rng.choice([1, 0.1])
    labels = draw_labels(rng, size, int(rng.choice([300, 1000])), imbalance)
    train_labels = draw_labels(rng, size, 2000, imbalance)
    good = Model(rng, rng.uniform(0.85, 0.99, size))
    predicted, train_predicted = good.predict(labels), good.predict(train_labels)
    details = {}
    kind = rng.choice(
        [
            "collapse",
            "guess",
            "dead",
            "mode",
            "overfit",
            "alone",
            "constant",
            "fragile",
            "logits",
            "rare",
            "slice collapsed",
            "slice weak",
        ]
    )
    if kind == "collapse":
        answer = rng.integers(size)
        stays = rng.random(len(labels)) < 0.96
        predicted = train_predicted = np.where(stays, answer, predicted)
        train_predicted = np.full(len(train_labels), answer)
    elif kind == "guess":
        predicted = rng.permutation(labels)
    elif kind == "dead":
        dead = int(rng.choice(np.flatnonzero(np.bincount(labels) >= 30)))
        predicted = np.where(labels == dead, (dead + 1) % size, predicted)
    elif kind == "mode":
        worse = Model(rng, good.recalls - rng.uniform(0.25, 0.5))
        details["batch_statistics"] = predicted
        predicted, train_predicted = worse.predict(labels), worse.predict(train_labels)
    elif kind == "overfit":
        predicted = Model(rng, good.recalls - rng.uniform(0.3, 0.5)).predict(labels)
        train_predicted = train_labels
    elif kind == "alone":
        details["alone"] = rng.uniform(0.05, 1)
    elif kind == "constant":
        details["spread"] = rng.uniform(0, 5e-4)
    elif kind == "fragile":
        wrong = (labels + rng.integers(1, size, len(labels))) % size
        kept = rng.random(len(labels)) < rng.uniform(0, 0.3)
        details["perturbed"] = {"shift": np.where(kept, predicted, wrong)}
    elif kind == "logits":
        details["judged_fields"] = {
            "num_not_probabilities": int(rng.integers(1, len(labels))),
            "output_range": (-3.0, 4.0),
        }
    elif kind.startswith("slice"):
        site = rng.integers(0, 3, len(labels))
        failed = Model(rng, np.full(size, 0.35)).predict(labels)
        if kind == "slice collapsed":
            failed = np.full(len(labels), rng.integers(size))
        predicted = np.where(site == 0, failed, predicted)
        details["by_slice"] = {f"site={k}": np.flatnonzero(site == k) for k in range(3)}
        details["slices"] = ("site",)
    else:  # A rare class that is lost in use: 100 of 5,000.
        size, details = 2, {}
        labels = train_labels = np.repeat([0, 1], [4900, 100])
        mode = predicted = Model(rng, [0.99, 0.9]).predict(labels)
        predicted = train_predicted = Model(rng, [0.99, 0.4]).predict(labels)
        details["training_mode"] = mode
    return kind, make_evidence(
        (labels, predicted),
        (train_labels, train_predicted),
        num_classes=size,
        **details,
    )


@pytest.mark.parametrize("per_class", [2, 5])
def test_a_thousand_classes_of_few_examples_do_not_block(make_evidence, per_class):
    rng = np.random.default_rng(per_class)
    labels = np.repeat(np.arange(1000), per_class)
    model = Model(rng, rng.beta(5, 3, 1000))
    evidence = make_evidence(
        (labels, model.predict(labels)), num_classes=1000, modes=False
    )
    record = evidence.evaluation.model_copy(update={"has_no_modes": True})
    verdict = decide(dataclasses.replace(evidence, evaluation=record), CHECKS)
    assert verdict.blocking == ()


def test_a_hundred_thousand_examples_do_not_block_a_tiny_difference(make_evidence):
    # All of these are certain, and none is of any size.
    rng = np.random.default_rng(0)
    labels = np.arange(100_000) % 10
    predicted = Model(rng, np.full(10, 0.9)).predict(labels)
    better = np.where(rng.random(len(labels)) < 0.01, labels, predicted)
    train = Model(rng, np.full(10, 0.95)).predict(labels)
    evidence = make_evidence(
        (labels, predicted),
        (labels, train),
        num_classes=10,
        batch_statistics=better,
        baseline=better,
        perturbed={"jpeg": Model(rng, np.full(10, 0.87)).predict(labels)},
        by_slice={"site=0": np.arange(50_000)},
        slices=("site",),
    )
    assert decide(evidence, CHECKS).blocking == ()


def test_at_most_one_healthy_model_in_a_hundred_is_blocked(make_evidence):
    rng = np.random.default_rng(0)
    blocked = collections.Counter()
    for _ in range(NUM_MODELS):
        verdict = decide(healthy_evidence(rng, make_evidence), CHECKS)
        if not verdict.passed:
            blocked[verdict.blocking[0].message] += 1
    assert blocked.total() <= NUM_MODELS / 100, blocked


def test_at_least_ninety_nine_bad_models_in_a_hundred_are_blocked(make_evidence):
    rng = np.random.default_rng(0)
    passed = collections.Counter()
    for _ in range(NUM_MODELS):
        kind, evidence = bad_evidence(rng, make_evidence)
        passed[kind] += decide(evidence, CHECKS).passed
    assert passed.total() <= NUM_MODELS / 100, passed


@pytest.mark.parametrize("count", [30, 40])
def test_noise_does_not_block_the_smallest_split_either(make_evidence, count):
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 3
    blocked = collections.Counter()
    for _ in range(NUM_MODELS):
        model = Model(rng, [0.9, 0.85, 0.8])
        predicted = model.predict(labels)
        verdict = decide(
            make_evidence(
                (labels, predicted),
                num_classes=3,
                training_mode=model.predict_again(labels, predicted, 0.5),
                baseline=model.predict(labels),
                distance=0.55,
            ),
            CHECKS,
        )
        if not verdict.passed:
            blocked[verdict.blocking[0].message] += 1
    assert blocked.total() <= NUM_MODELS / 100, blocked
