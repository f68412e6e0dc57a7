# SPDX-License-Identifier: Apache-2.0
"""Reads batches of examples: class ids, values to slice by, and what TFMA is given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import extractor
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.guarded_evaluator import slicing
from components.guarded_evaluator.batching import Batch
from components.labels import LabelValue

SPLIT_FEATURE = "guard_split"
"""Feature added so that TFMA can slice by split."""
SAMPLED_FEATURE = "guard_sampled"
"""Feature added: whether an example is to be asked about with harmless changes."""
SLICE_PREFIX = "guard_slice:"
"""Begins the names of the features added to slice by, which hold texts or None."""

Extracts = dict[str, Any]


class LabelReader:
    """Turns the labels of decoded examples into class ids."""

    def __init__(self, label_key: str, labels: Sequence[LabelValue]):
        """Constructs the reader.

        Args:
          label_key: Name of the label feature.
          labels: Label values; the class id of a label is its position.
        """
        self._label_key = label_key
        # Texts are bytes in tf.Examples.
        self._class_ids = {
            label.encode() if isinstance(label, str) else label: class_id
            for class_id, label in enumerate(labels)
        }

    def read(self, decoded: pa.RecordBatch, split: str) -> list[int]:
        """Returns the class id of each row.

        Args:
          decoded: What TFX's decoder makes of serialized tf.Examples.
          split: Name of their split, for messages.

        Raises:
          InputError: If an example has no label, several, or one of no class.
        """
        position = decoded.schema.get_field_index(self._label_key)
        if position < 0:
            raise InputError(
                f"split {split!r}: expected the label {self._label_key!r}, but the "
                f"examples hold {', '.join(decoded.schema.names[:8])}; correct "
                "`label_key`, or evaluate on labelled examples"
            )
        return [
            self._class_id(values, split)
            for values in decoded.column(position).to_pylist()
        ]

    def _class_id(self, values: list[Any] | None, split: str) -> int:
        value = values[0] if values and len(values) == 1 else None
        if value not in self._class_ids:
            raise InputError(
                f"split {split!r}: expected one of the model's "
                f"{len(self._class_ids)} classes as {self._label_key!r}, but an "
                f"example carries {str(values)[:100]}; train on all classes, or drop "
                "the example"
            )
        return self._class_ids[value]


class ToExtracts(beam.DoFn):
    """Turns batches into what TFMA calls Extracts, which hold a batch each.

    They hold the serialized examples for the models, the class ids for the metrics,
    and of the features only those that are sliced by: TFMA copies every feature of
    every example, and no model needs them beside the serialized example.

    Output: Extracts, and tagged `SURVEYS` a `slicing.Survey` of each batch.
    """

    SURVEYS = "surveys"

    def __init__(
        self, labels: LabelReader, slices: Sequence[str] = (), sampled_split: str = ""
    ):
        """Constructs the DoFn.

        Args:
          labels: Reads the labels.
          slices: Features to slice by.
          sampled_split: Split whose sample is marked.
        """
        super().__init__()
        self._labels = labels
        self._slices = tuple(slices)
        self._sampled_split = sampled_split

    def setup(self) -> None:
        """Makes the decoder, which cannot be pickled."""
        self._decoder = example_coder.ExamplesToRecordBatchDecoder()

    def process(self, batch: Batch) -> Iterator[Any]:
        """Decodes one batch."""
        decoded = self._decoder.DecodeBatch(batch.rows)
        size = len(batch.rows)
        columns = {
            name: _values(decoded, name)
            for name in self._slices
            if name in decoded.schema.names
        }
        num_sampled = batch.num_sampled if batch.split == self._sampled_split else 0
        features = {
            SPLIT_FEATURE: np.array([batch.split] * size, object),
            SAMPLED_FEATURE: np.arange(size) < num_sampled,
            **{
                f"{SLICE_PREFIX}{name}": np.array(values, object)
                for name, values in columns.items()
                if not isinstance(values, slicing.NotCategory)
            },
        }
        if self._slices:
            found = slicing.survey(decoded.schema.names, columns)
            yield beam.pvalue.TaggedOutput(self.SURVEYS, found)
        yield {
            # In this form TFMA can tell how many bytes they are.
            constants.ARROW_RECORD_BATCH_KEY: pa.RecordBatch.from_arrays(
                [pa.array(batch.rows, pa.large_binary())], [constants.INPUT_KEY]
            ),
            constants.LABELS_KEY: np.array(self._labels.read(decoded, batch.split)),
            constants.FEATURES_KEY: features,
        }


def SerializedExtractor() -> extractor.Extractor:
    """Makes the extractor that puts the serialized examples where models look."""
    return extractor.Extractor(
        stage_name="ExtractSerialized", ptransform=beam.Map(_with_serialized)
    )


def take_rows(extracts: Mapping[str, Any], rows: np.ndarray) -> Extracts:
    """Returns some of a batch's rows: indices or a mask, as NumPy takes them."""
    return {
        key: take_rows(value, rows) if isinstance(value, Mapping) else value[rows]
        for key, value in extracts.items()
    }


def _with_serialized(extracts: Extracts) -> Extracts:
    rest = dict(extracts)
    [serialized] = rest.pop(constants.ARROW_RECORD_BATCH_KEY).columns
    return {**rest, constants.INPUT_KEY: np.array(serialized.to_pylist(), object)}


def _values(
    decoded: pa.RecordBatch, feature: str
) -> list[str | None] | slicing.NotCategory:
    try:
        return [
            slicing.text_of(values, feature)
            for values in decoded.column(feature).to_pylist()
        ]
    except slicing.NotCategory as reason:
        return reason
