# SPDX-License-Identifier: Apache-2.0
import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_trainer.reading.held_out import (
    BUCKETS,
    Choice,
    Fingerprint,
    HeldOut,
    content_hash,
)


def fingerprint(*parts):
    prints = []
    for part in parts:
        prints.append(Fingerprint())
        prints[-1].add(part)
    return Fingerprint.of(prints).hexdigest()


@given(st.lists(st.binary(max_size=8), max_size=12), st.randoms(), st.integers(0, 12))
def test_fingerprint_depends_neither_on_order_nor_on_sharding(examples, random, cut):
    shuffled = random.sample(examples, len(examples))
    assert fingerprint(shuffled[:cut], shuffled[cut:]) == fingerprint(examples)


def test_fingerprint_tells_examples_and_numbers_of_copies_apart():
    parts = [[], [b""], [b"a"], [b"a", b"a"], [b"a", b"b"], [b"ab"]]
    assert len({fingerprint(part) for part in parts}) == len(parts)


def test_choice_in_a_graph_and_in_memory_agree():
    examples = tf.constant([f"{i}" for i in range(500)])
    hashes = content_hash(examples).numpy()
    limit = BUCKETS // 4
    kept = tuple(hashes[hashes < limit][:5].tolist())
    for choice in (Choice(), Choice(limit), Choice(limit, kept)):
        chosen = [bool(choice(example)) for example in examples]
        assert choice.mask(hashes).tolist() == chosen
    assert sum(Choice(limit, kept).mask(hashes)) == sum(hashes < limit) - 5
    assert not Choice().mask(hashes).any()


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=40),
    st.integers(0, 40),
    st.integers(0, 20),
)
def test_no_class_is_lost_however_the_batches_are_cut(rows, cut, limit):
    hashes = np.array([h for h, _ in rows], np.int64)
    class_ids = np.array([k for _, k in rows], np.int64)
    held_out = HeldOut(limit)
    for part in (slice(cut), slice(cut, None)):
        held_out.add(hashes[part], class_ids[part])
    mask = held_out.choice.mask(hashes)
    lost = {
        k for k in set(class_ids.tolist()) if (hashes[class_ids == k] < limit).all()
    }
    assert held_out.lost_classes == lost
    assert set(class_ids[~mask].tolist()) == set(class_ids.tolist())
