# SPDX-License-Identifier: Apache-2.0
"""Which examples are held out of training, and what the examples are."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

BUCKETS = 1 << 62
"""Content hashes are uniform in [0, BUCKETS)."""
_MODULUS = 1 << 256


def content_hash(serialized: tf.Tensor) -> tf.Tensor:
    """Returns the hash of each serialized example, int64, in [0, BUCKETS)."""
    return tf.strings.to_hash_bucket_fast(serialized, BUCKETS)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which examples are held out, by the hash of their content.

    Copies of one example are never on both sides, and neither order nor sharding
    matters.

    Attributes:
      limit: Examples with a hash below this are held out.
      kept_hashes: Hashes of examples that are fitted all the same, being the only
        ones of their class.
    """

    limit: int = 0
    kept_hashes: tuple[int, ...] = ()

    def __call__(self, serialized: tf.Tensor) -> tf.Tensor:
        """Returns whether a serialized example is held out, scalar."""
        hashed = content_hash(serialized)
        kept = tf.reduce_any(hashed == tf.constant(self.kept_hashes, tf.int64))
        return (hashed < self.limit) & ~kept

    def mask(self, hashes: np.ndarray) -> np.ndarray:
        """Returns whether the examples with these hashes are held out, shape (n,)."""
        return (hashes < self.limit) & ~np.isin(hashes, self.kept_hashes)


class HeldOut:
    """Counts what is to be held out, and finds the classes that would be lost."""

    def __init__(self, limit: int):
        """Constructs the count.

        Args:
          limit: Examples with a hash below this are held out.
        """
        self._limit = limit
        self._count = 0
        self._fitted: set[int] = set()
        # Class id -> hashes, for as long as no example of the class is fitted.
        self._lost: dict[int, Counter[int]] = {}

    def add(self, hashes: np.ndarray, class_ids: np.ndarray) -> None:
        """Adds a batch; both have shape (batch,)."""
        held_out = hashes < self._limit
        self._count += int(held_out.sum())
        self._fitted.update(class_ids[~held_out].tolist())
        for class_id, hashed in zip(
            class_ids[held_out].tolist(), hashes[held_out].tolist(), strict=True
        ):
            if class_id not in self._fitted:
                self._lost.setdefault(class_id, Counter())[hashed] += 1
        for class_id in self._fitted & self._lost.keys():
            del self._lost[class_id]

    @property
    def count(self) -> int:
        """Examples held out, without the only ones of a class."""
        return self._count - sum(sum(c.values()) for c in self._lost.values())

    @property
    def choice(self) -> Choice:
        """The choice that loses no class."""
        kept = (hashed for counter in self._lost.values() for hashed in counter)
        return Choice(self._limit, tuple(kept))

    @property
    def lost_classes(self) -> frozenset[int]:
        """Classes of which no example would be fitted, were it not for the choice."""
        return frozenset(self._lost)


class Fingerprint:
    """A SHA-256 of examples, whatever their order and sharding.

    The sum of the examples' own SHA-256, modulo 2**256 (AdHash of Bellare and
    Micciancio 1997): unlike an exclusive or, it notices copies.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0

    def add(self, serialized: Iterable[bytes]) -> None:
        """Adds examples."""
        for example in serialized:
            self._sum += int.from_bytes(hashlib.sha256(example).digest(), "big")
            self._count += 1
        self._sum %= _MODULUS

    @classmethod
    def of(cls, parts: Iterable["Fingerprint"]) -> "Fingerprint":
        """Returns the fingerprint of the examples of all parts."""
        whole = cls()
        for part in parts:
            whole._count += part._count
            whole._sum += part._sum
        whole._sum %= _MODULUS
        return whole

    def hexdigest(self) -> str:
        """Returns 64 hexadecimal digits, also for no example at all."""
        content = f"{self._count}:{self._sum:064x}"
        return hashlib.sha256(content.encode()).hexdigest()
