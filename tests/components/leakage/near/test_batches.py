# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.leakage.near import batches
from components.leakage.near.batches import BATCH, Batch
from components.leakage.near.layout import REFERENCE
from components.leakage.near.rows import RowModel

MODEL = RowModel((1.0, 1.0))


def name(i, size=16):
    return i.to_bytes(size, "big")


def test_a_content_is_gathered_once_with_its_first_record():
    batch = Batch(MODEL)
    row = np.array([1.0, 2.0])
    assert batch.add(name(1), 2, name(5, 8), row)
    assert not batch.add(name(1), 2, name(5, 8), row)
    assert not batch.add(name(1), 2, name(6, 8), row)
    assert batch.add(name(1), 2, name(4, 8), row)
    assert batch.add(name(1), 1, name(9, 8), row)
    assert len(batch) == 1
    entries = batch.entries(MODEL, side=1)
    assert len(entries) == MODEL.num_bands
    assert set(entries["split"]) == {1}
    assert set(entries["digest"]) == {9}
    assert entries["fingerprint"].tolist() == [[0, 1]] * MODEL.num_bands


def test_a_content_seen_before_comes_again_only_with_an_earlier_record():
    batch = Batch(MODEL)
    row = np.array([1.0, 2.0])
    batch.add(name(1), 1, name(5, 8), row)
    batch.clear()
    assert not batch.add(name(1), 1, name(5, 8), row)
    assert len(batch) == 0
    assert batch.add(name(1), 1, name(3, 8), row)
    assert len(batch) == 1


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(batches, "_REMEMBERED", 3)
    batch = Batch(MODEL)
    row = np.array([1.0, 2.0])
    for i in range(4):
        batch.add(name(i), 1, name(i, 8), row)
    batch.clear()
    assert not batch.add(name(3), 1, name(3, 8), row)
    assert batch.add(name(0), 1, name(0, 8), row)


def test_a_batch_is_full_when_it_says():
    batch = Batch(MODEL)
    for i in range(BATCH):
        assert not batch.is_full
        batch.add(name(i), REFERENCE, name(i, 8), np.array([i, i]))
    assert batch.is_full
    entries = batch.entries(MODEL, REFERENCE)
    assert len(entries) == BATCH * MODEL.num_bands
    assert set(entries["digest"]) == set(range(BATCH))


def test_an_unusable_content_has_no_keys():
    class Blind(RowModel):
        def index(self, descriptors):
            keys, signatures, usable = super().index(descriptors)
            return keys, signatures, usable & (descriptors[:, 0] > 0)

    model = Blind((1.0, 1.0))
    batch = Batch(model)
    batch.add(name(1), REFERENCE, name(1, 8), np.array([0.0, 1.0]))
    batch.add(name(2), REFERENCE, name(2, 8), np.array([1.0, 1.0]))
    entries = batch.entries(model, REFERENCE)
    assert set(entries["digest"]) == {2}


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ((name(1, 15), 1, name(1, 8), np.zeros(2)), "they have 15 and 8"),
        ((name(1), 1, name(1, 9), np.zeros(2)), "they have 16 and 9"),
        ((name(1), 1, name(1, 8), np.zeros(3)), r"shape \(2,\), but has \(3,\)"),
    ],
)
def test_an_example_of_the_wrong_size_is_refused(example, message):
    with pytest.raises(ValueError, match=message):
        Batch(MODEL).add(*example)
