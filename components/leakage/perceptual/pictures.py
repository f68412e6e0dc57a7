# SPDX-License-Identifier: Apache-2.0
"""The model of near-duplicate pictures: describe, hash, verify."""

import dataclasses

import numpy as np

from components.leakage.perceptual import projection, signature, thumbnail
from components.leakage.perceptual import verify as verification


@dataclasses.dataclass(frozen=True)
class PictureModel:
    """Tells near-duplicate pictures: describes, hashes and compares them.

    What it returns for a picture does not depend on the others of a batch.

        model = PictureModel()
        train = np.stack([model.describe(pixels) for pixels in train_pictures])
        other = np.stack([model.describe(pixels) for pixels in other_pictures])
        keys, signatures, usable = model.index(train)
        rows, bands, probes, words = model.queries(other)
        # Pairs with keys[i, bands[j]] == probes[j] are candidates.
        similarity, near = model.verify(
            other[candidate_rows], train[candidates], model.background(other, train)
        )

    Args:
        mirrored: Whether a picture and its mirror image are near-duplicates.
    """

    mirrored: bool = False

    @property
    def descriptor_dtype(self) -> np.dtype:
        """Type of a descriptor's elements."""
        return np.dtype(np.uint8)

    @property
    def descriptor_shape(self) -> tuple[int, ...]:
        """Shape of one descriptor."""
        return (thumbnail.LENGTH,)

    @property
    def num_bands(self) -> int:
        """Keys of a reference picture."""
        return signature.BANDS

    @property
    def signature_words(self) -> int:
        """64-bit words of a signature."""
        return projection.WORDS

    @property
    def max_distance(self) -> int:
        """Largest Hamming distance of signatures, of 128 bits, that is worth a look.

        Of transformed pictures that share a key, 99 % are within 20.
        """
        return 28

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        """Shrinks a picture, uint8 (height, width, 3), to its descriptor."""
        return thumbnail.describe(pixels)

    def index(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hashes pictures of the reference split; see `signature.index`."""
        return signature.index(descriptors)

    def queries(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Lists the keys to look pictures up by; see `signature.queries`."""
        return signature.queries(descriptors, self.mirrored)

    def verify(
        self,
        query: np.ndarray,
        reference: np.ndarray,
        background: verification.Background | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compares pairs of pictures; see `verify.verify`."""
        return verification.verify(query, reference, self.mirrored, background)

    def background(
        self, query_sample: np.ndarray, reference_sample: np.ndarray
    ) -> verification.Background | None:
        """Measures how alike different pictures of the reference split are.

        The other split says nothing about it: its pictures may be copies. See
        `verify.measure_background`.
        """
        return verification.measure_background(reference_sample, self.mirrored)
