# SPDX-License-Identifier: Apache-2.0
"""What the search must know about a kind of content, and what it answers."""

from typing import Any, NamedTuple, Protocol

import numpy as np


class NearModel(Protocol):
    """How contents of one kind, such as pictures, are hashed and compared.

    Locality-sensitive hashing (Indyk and Motwani, STOC 1998): near-duplicates share
    a key in at least one of several bands, so that only contents with a key in
    common are ever compared. Implementations are picklable and immutable, and what
    they return for a content must not depend on the others in the same batch: how
    a data set is cut into batches is chance.
    """

    @property
    def descriptor_dtype(self) -> np.dtype:
        """Type of the numbers that describe one content."""

    @property
    def descriptor_shape(self) -> tuple[int, ...]:
        """Shape of the numbers that describe one content."""

    @property
    def num_bands(self) -> int:
        """Keys per content of the reference split; at most 256."""

    @property
    def signature_words(self) -> int:
        """Words of 64 bits in a signature; at least 1."""

    @property
    def max_distance(self) -> int:
        """Most differing bits of two signatures (Hamming) of near-duplicates."""

    def index(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hashes contents of the reference split.

        Args:
          descriptors: Shape (n, *descriptor_shape).

        Returns:
          Keys, uint64, shape (n, num_bands); signatures, uint64, shape (n,
          signature_words); and whether a content can be told from others at all,
          bool, shape (n,).
        """

    def queries(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Hashes contents of another split; several probes for each are fine.

        Args:
          descriptors: Shape (n, *descriptor_shape).

        Returns:
          For each of q probes: the row in `descriptors`, int32; the band, uint8; the
          key, uint64, all of shape (q,); and the signature, uint64, shape (q,
          signature_words).
        """

    def verify(
        self, query: np.ndarray, reference: np.ndarray, background: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compares pairs on their contents.

        Args:
          query: Shape (m, *descriptor_shape).
          reference: Same shape; row i is compared with row i of `query`.
          background: What `background` returned for this data set, if anything.

        Returns:
          The similarity, float32, shape (m,), greater for closer pairs; and whether
          the pair are near-duplicates, bool, shape (m,).
        """

    def background(self, query_sample: np.ndarray, reference_sample: np.ndarray) -> Any:
        """Summarizes how alike different contents of this data set are.

        Args:
          query_sample: Shape (a, *descriptor_shape); a may be 0.
          reference_sample: Shape (b, *descriptor_shape); no content is in both.

        Returns:
          Anything small and picklable, for `verify`.
        """


class NearMatch(NamedTuple):
    """A content of another split, and its nearest duplicate in the reference split.

    Of each content it names one record, the one of the smallest digest, for others
    to show.
    """

    query_fingerprint: bytes
    """Fingerprint of the other split's content."""
    query_split: str
    """The first split, in the order given, that has it."""
    query_record_digest: bytes
    """Digest of one of its records in that split."""
    reference_fingerprint: bytes
    """Fingerprint of the reference split's content."""
    reference_record_digest: bytes
    """Digest of one of its records."""
    similarity: float
    """As the model measures it; greater for closer pairs."""
