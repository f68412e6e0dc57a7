# SPDX-License-Identifier: Apache-2.0
"""What the numbers say of a failure, for the explanations to rest on."""

import functools

import numpy as np
from scipy import optimize

from components.findings import Finding
from components.guarded_evaluator.checks.collapse import spread_limit
from components.guarded_evaluator.checks.counts import (
    class_counts,
    gain_over_guessing,
    standardized_gap,
)
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.folding import classes_of
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
    ModelResult,
)

TRAINER = "GuardedTrainer"
"""Begins the name under which the trainer reports."""
NO_GAIN = 0.1
"""Share of the way from guessing to perfection below which nothing was learnt, as
`no_gain` of the trainer's rules."""


class Facts:
    """Numbers of the candidate on both splits; nothing that was not measured counts."""

    def __init__(self, evidence: Evidence) -> None:
        self.config = evidence.config
        self.names = evidence.evaluation.class_names
        self._evidence = evidence

    @functools.cached_property
    def train(self) -> ModelResult | None:
        """The candidate on the training split; None without a finite answer."""
        return self._result(CANDIDATE, self.config.train_split)

    @functools.cached_property
    def judged(self) -> ModelResult | None:
        """The candidate on the evaluation split; None without a finite answer."""
        return self._result(CANDIDATE, self.config.eval_split)

    @functools.cached_property
    def misses_half_of_the_classes(self) -> bool:
        """Whether half of the classes are hardly recognised on the evaluation split."""
        if self.judged is None:
            return False
        confusion = np.array(self.judged.confusion)
        true = confusion.sum(axis=1)
        missed = np.diag(confusion) < self.config.min_class_recall * true
        return 2 * int(np.sum(missed[true > 0])) >= int(np.sum(true > 0))

    @functools.cached_property
    def is_broken(self) -> bool:
        """Whether no answer on the training split is finite: the weights are not."""
        result = self._evidence.evaluation.result(CANDIDATE, self.config.train_split)
        return result is not None and 0 < result.num_examples == result.num_not_finite

    @functools.cached_property
    def train_counts(self) -> np.ndarray:
        """Training examples of each class, shape (K,); all 0 where they are unknown."""
        if self.train is None:
            return np.zeros(len(self.names), np.int64)
        return class_counts(self.train)[0]

    def trainer_says(self, cause: str, *, blocking: bool = False) -> bool | None:
        """Returns whether the trainer reports a cause, None where it tells nothing."""
        training = self._evidence.training
        known = [
            *self._evidence.upstream,
            *(training.findings if training is not None else ()),
        ]
        reports = [f for f in known if f.found_by.startswith(TRAINER)]
        if training is None and not reports:
            return None
        return any(f.cause == cause and (f.blocks or not blocking) for f in reports)

    def shows_on_train(self, symptom: Finding) -> bool:
        """Returns whether a failure shows on the training split as well.

        What goes wrong in training does; what is learnt by heart, or differs between
        the splits, does not.
        """
        if symptom.cause == "not_a_number":
            return self.is_broken
        return self.train is not None and self._shows(symptom, self.train)

    def shows_in_training(self, symptom: Finding) -> bool:
        """Returns whether a failure shows on the training split, in any mode.

        Then it came about in training, and not in what came after.
        """
        return self.shows_on_train(symptom) and self.shows_in_every_mode(symptom)

    def shows_in_every_mode(self, symptom: Finding) -> bool:
        """Returns whether a failure shows in every other mode that was measured.

        True where none was: then no mode is known to do better.
        """
        modes = [
            self._result(mode, self.config.eval_split)
            for mode in (TRAINING_MODE, BATCH_STATISTICS_MODE)
        ]
        return all(self._shows(symptom, mode) for mode in modes if mode is not None)

    def ratio_to_others(self, class_id: int) -> float:
        """Returns how frequent a class is in training, against the others on average.

        Infinite where there is no other, NaN where nothing is known.
        """
        own, total = int(self.train_counts[class_id]), int(self.train_counts.sum())
        if not total:
            return float("nan")
        others = (total - own) / max(len(self.train_counts) - 1, 1)
        return own / others if others else float("inf")

    def outnumbering(self, symptom: Finding) -> int | None:
        """Returns the class whose frequency in training explains a failure.

        The answered class of a collapse, if it is `min_imbalance_ratio` times as
        frequent as the others on average; so it is where nothing was learnt and one
        class is answered to almost everything, though others are too few to call that
        a collapse. The rarest of the dead classes, if most of them are as much less
        frequent. None where the numbers do not say so.
        """
        ratio = self.config.min_imbalance_ratio
        if symptom.cause == "no_signal":
            k = self._only_answer
            is_so = k is not None and self.shows_in_training(symptom)
            return k if is_so and self.ratio_to_others(k or 0) >= ratio else None
        ids = self.ids_of(symptom)
        if not ids or not self.shows_in_training(symptom):
            return None
        if symptom.cause == "collapse":
            return ids[0] if self.ratio_to_others(ids[0]) >= ratio else None
        if symptom.cause == "dead_class":
            rare = [k for k in ids if self.ratio_to_others(k) <= 1 / ratio]
            rarest = min(ids, key=lambda k: int(self.train_counts[k]))
            return rarest if 2 * len(rare) > len(ids) else None
        return None

    @functools.cached_property
    def _only_answer(self) -> int | None:
        """The class that is answered to almost everything, None where none is."""
        if self.judged is None:
            return None
        k = int(np.argmax(class_counts(self.judged)[1]))
        return k if self._leans(self.judged, [k]) else None

    def is_confined_to(self, name: str) -> bool:
        """Returns whether the gap between the splits is gone without one slice."""
        part = self._evidence.evaluation.result(CANDIDATE, self.config.eval_split, name)
        if part is None or self.judged is None or self.train is None:
            return False
        rest = np.array(self.judged.confusion) - np.array(part.confusion)
        gap = standardized_gap(np.array(self.train.confusion), rest, 0.5)
        return gap is not None and gap.size <= self.config.max_generalization_gap

    @functools.cached_property
    def renaming(self) -> dict[str, str] | None:
        """Answers that would be right under other names; None if that explains nothing.

        The one-to-one renaming of the answers by which most are right on the
        evaluation split. It explains a gap between the splits if the gap is gone by it.
        """
        if self.train is None or self.judged is None:
            return None
        confusion = np.array(self.judged.confusion)
        named, answered = optimize.linear_sum_assignment(confusion, maximize=True)
        limit, total = self.config.max_generalization_gap, confusion.sum()
        renamed = confusion[:, answered]  # Rows are in order: `named` is 0 to K-1.
        gain = (np.trace(renamed) - np.trace(confusion)) / total
        gap = standardized_gap(np.array(self.train.confusion), renamed, 0.5)
        if gap is None or gap.size > limit or gain <= limit:
            return None
        return {
            self.names[k]: self.names[j]
            for j, k in zip(named.tolist(), answered.tolist(), strict=True)
            if j != k
        }

    def ids_of(self, finding: Finding) -> list[int]:
        """Returns the ids of the classes that a finding names, as far as they exist."""
        named = set(classes_of(finding))
        return [k for k, name in enumerate(self.names) if name in named]

    def _shows(self, symptom: Finding, result: ModelResult) -> bool:
        if symptom.cause == "not_a_number":
            return False  # Some answers are finite.
        if symptom.cause == "collapse":
            return self._leans(result, self.ids_of(symptom))
        if symptom.cause == "constant_output":
            limit = spread_limit(len(result.output_spread), self.config)
            return not max(result.output_spread) >= limit
        if symptom.cause == "dead_class":
            true, _ = class_counts(result)
            dead = [
                not true[k]
                or result.confusion[k][k] / true[k] < self.config.min_class_recall
                for k in self.ids_of(symptom)
            ]
            return 2 * sum(dead) > len(dead)
        gain = gain_over_guessing(result)
        return gain is not None and gain < NO_GAIN

    def _leans(self, result: ModelResult, answered: list[int]) -> bool:
        # However few the examples are: that it is no chance is known already.
        true, predicted = class_counts(result)
        k, total = int(np.argmax(predicted)), int(true.sum())
        leaving, outside = total - int(predicted[k]), total - int(true[k])
        return k in answered and leaving <= self.config.min_leaving_share * outside

    def _result(self, model: str, split: str) -> ModelResult | None:
        result = self._evidence.evaluation.result(model, split)
        if result is None or result.num_examples == result.num_not_finite:
            return None
        return result
