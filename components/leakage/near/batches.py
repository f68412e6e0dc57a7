# SPDX-License-Identifier: Apache-2.0
"""Gathers examples, so that their contents are hashed many at a time."""

import numpy as np

from components.leakage.near.layout import (
    DIGEST_BYTES,
    FINGERPRINT_BYTES,
    REFERENCE,
    band_keys,
    entry_dtype,
    pack_digests,
    pack_fingerprints,
)
from components.leakage.near.model import NearModel

BATCH = 512
"""Contents that are hashed at once: numpy's overhead per call is spread over enough,
and a batch of 3 KB descriptors is 1.5 MB."""

_REMEMBERED = 2**16  # Contents; some 10 MB.


class Batch:
    """Contents of one side, each once, until there are enough to hash.

    It remembers the contents that it has seen lately: most of 200,000 copies of a
    content leave here. The others are found equal later on.
    """

    def __init__(self, model: NearModel):
        """Starts empty.

        Args:
          model: Says the shape of descriptors.
        """
        self._shape = tuple(model.descriptor_shape)
        self._dtype = np.dtype(model.descriptor_dtype)
        self._seen: dict[bytes, tuple[int, bytes]] = {}
        self.clear()

    def clear(self) -> None:
        """Forgets the contents gathered, but not that they have been seen."""
        self._rows: dict[bytes, int] = {}
        self._sources: list[tuple[int, bytes]] = []
        self._descriptors = np.empty((BATCH, *self._shape), self._dtype)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        """Whether the batch is to be hashed now."""
        return len(self) == BATCH

    def add(
        self, fingerprint: bytes, split: int, digest: bytes, descriptor: np.ndarray
    ) -> bool:
        """Adds one example.

        Args:
          fingerprint: 16 bytes.
          split: Index of the split, `layout.REFERENCE` for the reference split.
          digest: 8 bytes.
          descriptor: Of the model's shape; copied.

        Returns:
          Whether there is anything new about its content: not for most copies.

        Raises:
          ValueError: If sizes or shapes are wrong.
        """
        source = (split, digest)
        if source >= self._seen.get(fingerprint, (split + 1, b"")):
            return False
        if len(fingerprint) != FINGERPRINT_BYTES or len(digest) != DIGEST_BYTES:
            raise ValueError(
                f"an example must come with a fingerprint of {FINGERPRINT_BYTES} bytes "
                f"and a digest of {DIGEST_BYTES}, but they have {len(fingerprint)} and "
                f"{len(digest)}; hash with blake2b of these sizes"
            )
        if np.shape(descriptor) != self._shape:
            raise ValueError(
                f"a descriptor must have the model's shape {self._shape}, but has "
                f"{np.shape(descriptor)}; describe all contents with the same model"
            )
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[fingerprint] = source
        row = self._rows.setdefault(fingerprint, len(self._rows))
        if row == len(self._sources):
            self._sources.append(source)
            self._descriptors[row] = descriptor
        else:
            self._sources[row] = source
        return True

    def fingerprints(self) -> np.ndarray:
        """Returns the fingerprints gathered, uint64, shape (n, 2)."""
        return pack_fingerprints(list(self._rows))

    def entries(self, model: NearModel, side: int) -> np.ndarray:
        """Hashes the contents gathered.

        Args:
          model: Hashes.
          side: `layout.REFERENCE`, or anything else for queries.

        Returns:
          `layout.entry_dtype`, shape (keys of all contents,).
        """
        descriptors = self._descriptors[: len(self)]
        if side == REFERENCE:
            keys, signatures, usable = model.index(descriptors)
            rows, bands = np.nonzero(np.broadcast_to(usable[:, np.newaxis], keys.shape))
            keys, signatures = keys[rows, bands], signatures[rows]
        else:
            rows, bands, keys, signatures = model.queries(descriptors)
        entries = np.empty(len(rows), entry_dtype(model.signature_words))
        entries["key"] = band_keys(bands, keys)
        entries["signature"] = signatures
        entries["fingerprint"] = self.fingerprints()[rows]
        entries["digest"] = pack_digests([digest for _, digest in self._sources])[rows]
        entries["split"] = np.array([split for split, _ in self._sources], np.uint8)[
            rows
        ]
        return entries
