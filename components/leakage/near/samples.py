# SPDX-License-Identifier: Apache-2.0
"""Samples of descriptors, from which a model learns how alike contents are."""

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from components.content.sampling import BottomKFn
from components.leakage.near.layout import FINGERPRINT_BYTES
from components.leakage.near.model import NearModel

REFERENCE_SAMPLE, QUERY_SAMPLE = "reference_sample", "query_sample"

SAMPLE_SIZES = {REFERENCE_SAMPLE: 4096, QUERY_SAMPLE: 256}
"""Contents in each sample: a million pairs, the smallest shares of which are known
to 1e-5 or so; at 3 KB each 13 MB."""


class WriteSample(beam.PTransform):
    """Writes the bottom-k sample of (fingerprint, descriptor as bytes) to a file."""

    def __init__(self, folder: str, name: str, size: int):
        """Says what to write, and where.

        Args:
          folder: Path of an existing folder.
          name: Name of the file.
          size: Contents in the sample.
        """
        super().__init__()
        self._folder = folder
        self._name = name
        self._size = size

    def expand(self, keyed: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        path = FileSystems.join(self._folder, self._name)
        return (
            keyed
            | "Sample" >> beam.CombineGlobally(BottomKFn(self._size))
            | "WriteFile" >> beam.Map(_write, path)
        )


def compute_background(model: NearModel, folder: str) -> object:
    """Returns the model's background, from the samples in the folder.

    A content in both samples is left out of the queries: the background is how
    alike different contents are. As both samples hold the smallest fingerprints,
    no such content goes unseen where the reference split is not sixteen times
    larger.
    """
    queries = _read(model, folder, QUERY_SAMPLE)
    references = _read(model, folder, REFERENCE_SAMPLE)
    is_twin = np.isin(queries["fingerprint"], references["fingerprint"])
    return model.background(queries["descriptor"][~is_twin], references["descriptor"])


def _write(sample: list[tuple[bytes, bytes]], path: str) -> None:
    with FileSystems.create(path, "application/octet-stream") as file:
        file.write(b"".join(key + descriptor for key, descriptor in sample))


def _read(model: NearModel, folder: str, name: str) -> np.ndarray:
    dtype = np.dtype(
        [
            ("fingerprint", f"V{FINGERPRINT_BYTES}"),
            ("descriptor", model.descriptor_dtype, model.descriptor_shape),
        ]
    )
    path = FileSystems.join(folder, name)
    with FileSystems.open(path, "application/octet-stream") as file:
        return np.frombuffer(file.read(), dtype)
