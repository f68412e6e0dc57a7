# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.guarded_trainer.head import Head
from components.guarded_trainer.transfer import features


@pytest.fixture(scope="module", params=["memory", "disk"])
def extracted(request, pictures):
    """A base, what it was shown, and what it answered."""
    from components.guarded_trainer.transfer import plan
    from components.guarded_trainer.transfer.settings import TransferConfig

    config = TransferConfig(
        backbone="MobileNet", options={"alpha": 0.25}, weights="none"
    )
    made = plan.make_plan(config, (32, 32, 3), 3)
    made.base.trainable = False
    data = pictures(fitted=20, held_out=7)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "disk":
            patch.setattr(features, "_MEMORY", 0)
        cached = features.extract(made.extractor, data, batch_size=8, folder=None)
        yield made.extractor, data, cached


def rows(dataset):
    values, ids = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.stack(values), np.array(ids)


def test_rows_are_what_the_base_answers_in_the_same_order(extracted):
    extractor, data, cached = extracted
    for shown, kept in (
        (data.fitted(), cached.fitted()),
        (data.held_out(), cached.held_out()),
    ):
        inputs, class_ids = rows(shown)
        values, ids = rows(kept)
        np.testing.assert_allclose(values, extractor(inputs), rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(ids, class_ids)


def test_large_features_lie_on_disk(extracted, request):
    cached = extracted[2]
    is_mapped = isinstance(cached.train.values, np.memmap)
    assert is_mapped == (request.node.callspec.params["extracted"] == "disk")


def test_it_tells_what_its_source_tells(extracted):
    _, data, cached = extracted
    assert cached.classes == data.classes
    assert (cached.num_fitted, cached.num_held_out) == (20, 7)
    assert cached.steps_per_epoch(8) == 3
    assert cached.fingerprints() == data.fingerprints()


def test_each_row_occurs_once_per_epoch_in_an_order_of_its_own(extracted):
    cached = extracted[2]

    def epochs(seed, first_epoch=0, num=2):
        batches = cached.train_batches(8, seed, first_epoch).take(3 * num)
        return [
            np.concatenate([values for values, _ in part])
            for part in np.array_split(
                np.array(list(batches.as_numpy_iterator()), object), num
            )
        ]

    first, second = epochs(seed=1)
    assert sorted(map(tuple, first)) == sorted(map(tuple, cached.train.values))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(epochs(seed=1, first_epoch=1, num=1)[0], second)
    assert not np.array_equal(epochs(seed=2)[0], first)


def test_batches_carry_labels_and_weights_as_the_loss_wants_them(extracted):
    cached = extracted[2]
    head = Head(num_classes=3, units=3, logits=False, one_hot=True)
    _, labels = next(iter(cached.fit_batches(head, 8, seed=0)))
    assert labels.shape == (8, 3)
    ((_, labels, weights),) = cached.held_out_batches(head, {0: 2.0, 1: 1.0, 2: 0.5})
    table = np.array([2.0, 1.0, 0.5])
    np.testing.assert_array_equal(weights, table[np.argmax(labels, axis=1)])
    ((_, _, weights),) = cached.held_out_batches(head, None)
    assert set(weights.numpy()) == {1.0}


def test_without_held_out_rows_there_is_nothing_to_validate_on(pictures, make_plan):
    made = make_plan()
    cached = features.extract(
        made.extractor, pictures(fitted=5, held_out=0), batch_size=8, folder=None
    )
    head = Head(num_classes=3, units=3, logits=False, one_hot=False)
    assert cached.num_held_out == 0
    assert not list(cached.held_out())
    assert cached.held_out_batches(head, None) is None


def test_a_full_disk_keeps_features_from_being_cached(
    pictures, make_plan, monkeypatch, tmp_path
):
    data, extractor = pictures(fitted=5, held_out=2), make_plan().extractor
    assert features.fit_on_disk(extractor, data, str(tmp_path))
    monkeypatch.setattr(features, "_MEMORY", 0)
    assert features.fit_on_disk(extractor, data, str(tmp_path))
    assert not features.fit_on_disk(extractor, data, str(tmp_path / "gone"))
    usage = type("Usage", (), {"free": 7 * 256 * 4})
    monkeypatch.setattr(features.shutil, "disk_usage", lambda folder: usage)
    assert not features.fit_on_disk(extractor, data, str(tmp_path))
