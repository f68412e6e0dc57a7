# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.guarded_trainer.losses.choosing import (
    choose_kind,
    class_weights,
    imbalance,
    priors,
)
from components.guarded_trainer.losses.settings import LossConfig
from components.labels import ClassTable


def table(*counts, weights=None, priors=()):
    return ClassTable(
        label_key="label",
        labels=tuple(range(len(counts))),
        train_counts=counts,
        weights=tuple(weights or [1.0] * len(counts)),
        priors=priors,
    )


LIMIT = LossConfig().auto_ratio
AT_LIMIT = table(int(LIMIT * 10), 10)
BEYOND = table(int(LIMIT * 10) + 1, 10)
WEIGHTED = table(int(LIMIT * 10) + 1, 10, weights=[0.7, 2.0])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((30, 10), 3.0), ((5, 5), 1.0), ((30, 0, 10), 3.0), ((7, 0), 1.0), ((0, 0), 1.0)],
    ids=str,
)
def test_imbalance_is_of_the_classes_that_occur(counts, expected):
    assert imbalance(table(*counts)) == expected


@pytest.mark.parametrize(
    ("classes", "compiled_by_user", "expected"),
    [
        pytest.param(table(5, 5), False, "plain", id="even"),
        pytest.param(AT_LIMIT, False, "plain", id="at-the-limit"),
        pytest.param(BEYOND, False, "balanced_softmax", id="beyond"),
        pytest.param(BEYOND, True, "plain", id="compiled-without-weights"),
        pytest.param(WEIGHTED, True, "class_weights", id="compiled-with-weights"),
        pytest.param(WEIGHTED, False, "balanced_softmax", id="weights-and-no-loss"),
        pytest.param(table(0, 0), False, "plain", id="not-counted"),
    ],
)
def test_uneven_classes_are_answered_where_they_matter(
    classes, compiled_by_user, expected
):
    kind = choose_kind(classes, LossConfig(), compiled_by_user=compiled_by_user)
    assert kind == expected


def test_weights_of_the_data_are_not_added_to():
    settings = {"compiled_by_user": False, "has_sample_weights": True}
    assert choose_kind(WEIGHTED, LossConfig(), **settings) == "plain"
    assert class_weights(WEIGHTED, LossConfig(), **settings) is None
    with pytest.raises(InputError, match="loss.kind: .*without sample weights"):
        class_weights(WEIGHTED, LossConfig(kind="class_weights"), **settings)


@pytest.mark.parametrize("kind", ["plain", "class_weights"])
def test_what_is_asked_for_is_done(kind):
    config = LossConfig(kind=kind)
    assert choose_kind(table(5, 5), config, compiled_by_user=True) == kind


@pytest.mark.parametrize("kind", ["balanced_softmax", "focal"])
def test_loss_of_a_compiled_model_cannot_be_replaced(kind):
    config = LossConfig(kind=kind)
    assert choose_kind(BEYOND, config, compiled_by_user=False) == kind
    with pytest.raises(InputError, match=f"loss.kind: .*{kind}.*uncompiled"):
        class_weights(BEYOND, config, compiled_by_user=True)


@pytest.mark.parametrize(
    "settings", [{"regularization": "light"}, {"weight_decay": 0.1}], ids=str
)
def test_compiled_model_cannot_be_regularised(settings):
    with pytest.raises(InputError, match="loss: expected neither .* uncompiled"):
        class_weights(table(5, 5), LossConfig(**settings), compiled_by_user=True)
    assert class_weights(table(5, 5), LossConfig(**settings), False) is None


WANTED = LossConfig(kind="class_weights")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        pytest.param(WEIGHTED, {0: 0.7, 1: 2.0}, id="of-the-table"),
        pytest.param(
            table(4, 2, 0, weights=[0.8, 1.4, 5.0]),
            {0: 0.8, 1: 1.4, 2: 1.0},
            id="absent-class",
        ),
        pytest.param(table(5, 5), None, id="even"),
        pytest.param(table(5, 0), None, id="one-class"),
        pytest.param(table(0, 0), None, id="not-counted"),
        pytest.param(table(6, 2), {0: 4 / 6, 1: 2.0}, id="no-weights-in-the-table"),
    ],
)
def test_weights_are_those_of_the_classes_that_occur(classes, expected):
    weights = class_weights(classes, WANTED, compiled_by_user=True)
    assert weights == (expected and pytest.approx(expected))


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6))
def test_weights_of_our_own_are_capped_and_keep_the_learning_rate(counts):
    weights = class_weights(table(*counts), WANTED, compiled_by_user=False)
    if weights is not None:
        present = [k for k, count in enumerate(counts) if count]
        mean = sum(weights[k] * counts[k] for k in present) / sum(counts)
        assert mean == pytest.approx(1.0)
        values = [weights[k] for k in present]
        assert max(values) / min(values) <= 10 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (table(3, 1), (0.75, 0.25)),
        (table(3, 0), (0.75, 0.25)),
        (table(0, 0), (0.5, 0.5)),
        (table(3, 1, priors=(0.6, 0.4)), (0.6, 0.4)),
    ],
    ids=["counted", "absent-class", "not-counted", "known"],
)
def test_shares_are_positive(classes, expected):
    assert priors(classes) == pytest.approx(expected)


def test_presets_can_be_overruled():
    light = LossConfig(regularization="light")
    assert (light.smoothing, light.decay) == (0.05, 0.01)
    assert LossConfig(regularization="light", label_smoothing=0.0).smoothing == 0
    assert LossConfig(regularization="strong", weight_decay=0.2).decay == 0.2
    assert (LossConfig().smoothing, LossConfig().decay) == (0.0, 0.0)


def test_focal_loss_is_not_smoothed():
    with pytest.raises(pydantic.ValidationError, match="focal loss has none"):
        LossConfig(kind="focal", label_smoothing=0.1)
    assert LossConfig(kind="focal", label_smoothing=0.0).smoothing == 0
