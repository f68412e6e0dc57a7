# SPDX-License-Identifier: Apache-2.0
"""What a judged model is, and by which numbers it fails or is sound in use.

The criteria were written down before the first model was judged, and look at nothing
that the gate measures: they ask the model about rows that it never sees.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from recipes.populations import Population

HARMLESS = 0.75
"""Share of the sibling's gain over guessing from which a fault has done no harm."""
NOTHING = 0.1
"""Share of the possible gain over guessing below which a model has learnt nothing."""
DEAD, ALIVE = 0.1, 0.2
"""Recall in use below which a class is dead, and above which it is recognised."""
WIDE, NARROW = 0.15, 0.1
"""Gap in accuracy between training rows and use: of an overfit, of a sound model."""
BROKEN_PROMISE = 0.05
"""Loss of accuracy from the rows to judge by to those in use."""
DIFFERENT = 0.05
"""Share of rows answered otherwise alone than in a batch; also the gain of training
mode over inference that a sound model may have."""
FEW_ROWS = 30


@dataclasses.dataclass(frozen=True)
class Judged:
    """A model, how it is trained, and what must come of judging it.

    Attributes:
      name: Unique.
      data: Makes the rows of a seed; those to train on and to judge by are handed to
        the judge.
      model: Makes the compiled model.
      causes: The causes any of which may be named first; empty for a sound model.
      harm: The criterion by which it fails in use, a key of `HARMS`.
      like: The sound model that does the same task, for the harm `answers`.
      fit: Makes the rows to train on where they are others than the judged ones.
      after: What happens to the model between training and use.
      epochs: Of training.
      batch_size: Of training.
      options: For `Model.fit`.
      judging: For `components.judge`.
      sliced: Whether the judge is told of the sites.
    """

    name: str
    data: Callable[[int], Population]
    model: Callable[[Population], Any]
    causes: tuple[str, ...] = ()
    harm: str = ""
    like: str = ""
    fit: Callable[[int], Population] | None = None
    after: Callable[[Any, Population], Any] = lambda model, data: model
    epochs: int = 15
    batch_size: int = 32
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    judging: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sliced: bool = False

    @property
    def half(self) -> str:
        """`choosing`, or `confirming`: no limit was chosen by these."""
        digest = hashlib.sha256(f"judged {self.name}".encode()).digest()
        return "confirming" if digest[0] % 2 else "choosing"


def numbers(model: Any, data: Population, seed: int) -> dict[str, Any]:
    """Asks about rows in use; returns plain numbers, with nothing of the gate."""
    answers = {part: _ask(model, getattr(data, part).x) for part in ("train", "eval")}
    outputs = _ask(model, data.use.x)
    classes = range(data.num_classes)
    right = _classes(outputs) == data.use.y
    recalls = [
        float(right[data.use.y == k].mean()) if np.any(data.use.y == k) else None
        for k in classes
    ]
    told = {
        "num_classes": data.num_classes,
        "rows": {p: len(getattr(data, p)) for p in ("train", "eval", "use")},
        "counts": {
            p: np.bincount(getattr(data, p).y, minlength=data.num_classes).tolist()
            for p in ("train", "eval", "use")
        },
        "accuracy": {
            p: float(np.mean(_classes(answers[p]) == getattr(data, p).y))
            for p in answers
        }
        | {"use": float(np.mean(right))},
        "recalls": recalls,
        "mean_recall": float(np.mean([r for r in recalls if r is not None])),
        "no_probabilities": float(np.mean(~_are_probabilities(outputs))),
        "changed_alone": _changed_alone(model, data, outputs),
        "gain_of_training_mode": _gain_of_training_mode(model, data, answers, seed),
    }
    if data.use.site is not None:
        told["recall_at_site"] = {
            site: float(
                np.mean(
                    [
                        right[(data.use.y == k) & (data.use.site == site)].mean()
                        for k in classes
                    ]
                )
            )
            for site in np.unique(data.use.site).tolist()
        }
    return told


def gain(told: Mapping[str, Any], mean_recall: float | None = None) -> float:
    """Returns the mean recall above guessing, as a share of what is possible."""
    guessing = 1 / told["num_classes"]
    recall = told["mean_recall"] if mean_recall is None else mean_recall
    return (recall - guessing) / (1 - guessing)


def _answers_badly(told, sibling) -> bool:
    goal = 1.0 if sibling is None else gain(sibling)
    return gain(told) < HARMLESS * goal


def _at_a_site(told, sibling) -> bool:
    gains = [gain(told, recall) for recall in told["recall_at_site"].values()]
    return min(gains) < HARMLESS * max(gains)


HARMS: Mapping[str, Callable[[Any, Any], bool]] = {
    "answers": _answers_badly,
    "class": lambda told, _: min(r for r in told["recalls"] if r is not None) < DEAD,
    "slice": _at_a_site,
    "gap": lambda told, _: told["accuracy"]["train"] - told["accuracy"]["use"] >= WIDE,
    "promise": lambda told, _: (
        told["accuracy"]["eval"] - told["accuracy"]["use"] >= BROKEN_PROMISE
    ),
    "outputs": lambda told, _: told["no_probabilities"] > 0.01,
    "alone": lambda told, _: told["changed_alone"] > DIFFERENT,
    "evidence": lambda told, _: (
        told["rows"]["eval"] < FEW_ROWS or not all(told["counts"]["eval"])
    ),
}
"""Whether the numbers, beside those of the sibling, show that a model fails."""


def troubles(told: Mapping[str, Any]) -> list[str]:
    """Returns why a model that is meant to be sound is not, by its numbers."""
    accuracy, rows = told["accuracy"], told["rows"]
    share = accuracy["use"]
    # Two standard errors of a difference of two shares of so many rows.
    noise = 2 * np.sqrt(share * (1 - share) * (1 / rows["eval"] + 1 / rows["use"]))
    counts = told["counts"]["use"]
    recalls = [
        r for r, n in zip(told["recalls"], counts, strict=True) if n and r is not None
    ]
    found = {
        "learns nothing": gain(told) < NOTHING,
        "a class is not recognised": min(recalls) < ALIVE,
        "overfit": accuracy["train"] - accuracy["use"] > NARROW,
        "promises too much": accuracy["eval"] - accuracy["use"] > noise,
        "no probabilities": told["no_probabilities"] > 0.01,
        "depends on the batch": told["changed_alone"] > DIFFERENT,
        "modes differ": told["gain_of_training_mode"] > DIFFERENT,
        "a site is worse": "recall_at_site" in told and _at_a_site(told, None),
    }
    return [name for name, is_so in found.items() if is_so]


def _ask(model, x, batch_size=256) -> np.ndarray:
    parts = [
        np.asarray(model(x[i : i + batch_size], training=False))
        for i in range(0, len(x), batch_size)
    ]
    return np.concatenate(parts).astype("float64")


def _classes(outputs) -> np.ndarray:
    """Returns the class answered; -1, which is never right, where there is none."""
    if outputs.shape[1] == 1:
        answers = (outputs[:, 0] > 0.5).astype("int64")
    else:
        answers = outputs.argmax(axis=1)
    return np.where(np.isfinite(outputs).all(axis=1), answers, -1)


def _are_probabilities(outputs) -> np.ndarray:
    within = ((outputs >= -0.01) & (outputs <= 1.01)).all(axis=1)
    return within & (
        (outputs.shape[1] == 1) | (np.abs(outputs.sum(axis=1) - 1) <= 0.01)
    )


def _changed_alone(model, data, outputs, count=60) -> float:
    positions = range(min(count, len(data.use)))
    alone = np.concatenate([_ask(model, data.use.x[i : i + 1]) for i in positions])
    return float(np.mean(_classes(alone) != _classes(outputs[: len(alone)])))


def _gain_of_training_mode(model, data, answers, seed) -> float:
    """Returns what `training=True` gains on training rows, in shuffled batches."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(data.train))
    kept = model.get_weights()
    batches = np.array_split(order, max(len(order) // 32, 1))
    outputs = [np.asarray(model(data.train.x[b], training=True)) for b in batches]
    model.set_weights(kept)
    right = _classes(np.concatenate(outputs)) == data.train.y[order]
    wrong = _classes(answers["train"]) == data.train.y
    return float(np.mean(right) - np.mean(wrong))
