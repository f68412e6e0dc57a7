# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from recipes.judged import HARMS, Judged, gain, numbers, troubles
from recipes.populations import Population, Rows


class Model:
    """Answers by its first input; something else in training mode, or alone."""

    def __init__(self, training=None, alone=None):
        self.training, self.alone = training, alone

    def __call__(self, x, training=False):
        first = x[:, 0]
        if training and self.training is not None:
            first = np.full_like(first, self.training)
        if len(x) == 1 and self.alone is not None:
            first = np.full_like(first, self.alone)
        return np.eye(3)[first.astype(int)]

    def get_weights(self):
        return []

    def set_weights(self, weights):
        pass


def _rows(answers, labels, site=None):
    x = np.asarray(answers, "float32")[:, None]
    return Rows(x, np.asarray(labels), None if site is None else np.asarray(site))


def _numbers(model=None, use=None):
    labels = np.arange(300) % 3
    right = _rows(labels, labels)
    return numbers(
        model or Model(), Population(right, right, use or right, num_classes=3), seed=0
    )


def test_a_perfect_model_is_sound():
    told = _numbers()
    assert told["accuracy"] == {"train": 1.0, "eval": 1.0, "use": 1.0}
    assert troubles(told) == []
    assert gain(told) == 1.0


def test_guessing_gains_nothing():
    labels = np.arange(300) % 3
    told = _numbers(use=_rows(np.zeros(300), labels))
    assert gain(told) == pytest.approx(0.0)
    assert HARMS["answers"](told, None)
    assert HARMS["answers"](told, _numbers())
    assert HARMS["class"](told, None)
    assert HARMS["gap"](told, None)
    assert HARMS["promise"](told, None)
    assert "learns nothing" in troubles(told)


def test_a_fault_that_costs_little_does_no_harm():
    labels = np.arange(300) % 3
    answers = np.where(np.arange(300) < 40, 0, labels)
    told = _numbers(use=_rows(answers, labels))
    assert not HARMS["answers"](told, _numbers())


def test_answers_that_change_alone_are_seen():
    told = _numbers(Model(alone=0))
    assert told["changed_alone"] == pytest.approx(2 / 3)
    assert HARMS["alone"](told, None)
    assert "depends on the batch" in troubles(told)


def test_training_mode_may_be_worse_but_not_better():
    assert troubles(_numbers(Model(training=0))) == []
    told = _numbers() | {"gain_of_training_mode": 0.051}
    assert troubles(told) == ["modes differ"]


def test_not_a_number_is_never_right():
    def broken(x, training=False):
        return np.full((len(x), 3), np.nan)

    broken.get_weights = lambda: []
    broken.set_weights = lambda weights: None
    assert _numbers(broken)["accuracy"]["use"] == 0.0


def test_one_unit_answers_two_classes():
    class OneUnit(Model):
        def __call__(self, x, training=False):
            return x

    rows = _rows([0.2, 0.8, 0.9, 0.4], [0, 1, 0, 1])
    told = numbers(OneUnit(), Population(rows, rows, rows, num_classes=2), seed=0)
    assert told["recalls"] == [0.5, 0.5]
    assert told["no_probabilities"] == 0.0


def test_outputs_that_do_not_sum_to_one_are_no_probabilities():
    class Percent(Model):
        def __call__(self, x, training=False):
            return 100 * super().__call__(x, training)

    assert HARMS["outputs"](_numbers(Percent()), None)


def test_a_site_that_is_lost_is_seen():
    labels = np.arange(300) % 3
    site = np.where(np.arange(300) < 150, "A", "B")
    told = _numbers(use=_rows(np.where(site == "A", labels, 0), labels, site))
    assert HARMS["slice"](told, None)
    assert told["recall_at_site"] == pytest.approx({"A": 1.0, "B": 1 / 3})


@pytest.mark.parametrize(
    ("rows", "counts", "is_evident"),
    [(29, [10, 19], True), (30, [10, 20], False), (40, [40, 0], True)],
    ids=["just-too-few", "just-enough", "a-class-is-absent"],
)
def test_evidence_is_a_matter_of_the_rows_to_judge_by(rows, counts, is_evident):
    told = {"rows": {"eval": rows}, "counts": {"eval": counts}}
    assert HARMS["evidence"](told, None) is is_evident


def test_halves_depend_on_the_name_alone():
    halves = [Judged(f"recipe-{i}", None, None).half for i in range(100)]
    assert 30 < halves.count("choosing") < 70
    assert halves == [Judged(f"recipe-{i}", len, len).half for i in range(100)]
