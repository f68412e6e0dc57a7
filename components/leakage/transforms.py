# SPDX-License-Identifier: Apache-2.0
"""Counts examples of equal content in one pass over all splits.

Examples travel as fingerprints, grouped by a `CombineFn`: values are never
shuffled, and no step holds the members of a group.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from google.protobuf.message import DecodeError

from components.content.examples import describe_row, label_text, read_features
from components.content.fingerprint import fingerprint
from components.leakage.combiners import (
    MAX_NAMES,
    CountMembersFn,
    CountOddityFn,
    SummarizeGroupsFn,
    Tally,
    smallest,
)
from components.leakage.summary import Summary

UNREADABLE, FLOAT_LABEL = "unreadable", "float_labels"
NO_CONTENT, MISSING = "without_content", "missing"
"""Kinds of oddities, named as the fields of `SplitCounts` that count them."""

ODDITIES = "oddities"
"""Tag of the second output of `ParseExampleFn`."""


class SummarizeExamples(beam.PTransform):
    """Turns records by split into one `Summary` as JSON text.

    Input: a mapping from split name to a PCollection of serialized
    tf.train.Example (bytes). Output: a PCollection of exactly one text, also for
    splits without records.
    """

    def __init__(
        self,
        label_key: str,
        ignore: Iterable[str] = (),
        reference_split: str = "train",
        max_groups: int = 10,
    ):
        """Says what to count.

        Args:
          label_key: Name of the label feature.
          ignore: Names of the features that are no content.
          reference_split: Split that the others are held against.
          max_groups: Groups kept per list, the largest.
        """
        super().__init__()
        self._label_key = label_key
        self._ignore = tuple(ignore)
        self._reference_split = reference_split
        self._max_groups = max_groups

    def expand(self, records: Any) -> beam.PCollection:
        """Wires the steps. Beam has no type hint for a mapping of PCollections."""
        parsed = [
            collection
            | f"ParseExamples[{split}]"
            >> beam.ParDo(
                ParseExampleFn(split, self._label_key, self._ignore)
            ).with_outputs(ODDITIES, main="members")
            for split, collection in records.items()
        ]
        oddities = (
            tuple(outputs[ODDITIES] for outputs in parsed)
            | "FlattenOddities" >> beam.Flatten()
            | "CountOddities" >> beam.CombinePerKey(CountOddityFn())
        )
        return (
            tuple(outputs["members"] for outputs in parsed)
            | "FlattenSplits" >> beam.Flatten()
            | "GroupEqualContent" >> beam.CombinePerKey(CountMembersFn())
            | "SummarizeGroups"
            >> beam.CombineGlobally(
                SummarizeGroupsFn(
                    tuple(records), self._reference_split, self._max_groups
                )
            )
            | "AddOddities" >> beam.Map(add_oddities, beam.pvalue.AsList(oddities))
            | "WriteAsJson" >> beam.Map(lambda summary: summary.to_json())
        )


class ParseExampleFn(beam.DoFn):
    """Turns a serialized tf.train.Example into its fingerprint and its member.

    Main output: (fingerprint, (split, label, row)). Output `oddities`: ((split,
    kind, feature), names of the features with values), one per oddity.
    """

    def __init__(self, split: str, label_key: str, ignore: tuple[str, ...]):
        self._split = split
        self._label_key = label_key
        self._ignore = ignore
        self._no_content = tuple(dict.fromkeys((label_key, *ignore)))

    def process(self, record: bytes) -> Iterator[Any]:
        """Parses one record; one that is no tf.train.Example is an oddity."""
        try:
            features = read_features(record)
        except (DecodeError, UnicodeDecodeError):
            yield self._oddity(UNREADABLE, "", ())
            return
        label = features.get(self._label_key)
        is_float = isinstance(label, np.ndarray) and label.dtype.kind == "f"
        if is_float:
            yield self._oddity(FLOAT_LABEL, self._label_key, ())
        text = label_text(label) if label is not None and not is_float else ""
        for name in self._no_content:
            if name not in features:
                yield self._oddity(MISSING, name, tuple(features))
        if features.keys() <= set(self._no_content):
            yield self._oddity(NO_CONTENT, "", ())
        row = describe_row(features, self._label_key, self._ignore)
        yield fingerprint(features, self._no_content), (self._split, text, row)

    def _oddity(
        self, kind: str, feature: str, names: tuple[str, ...]
    ) -> beam.pvalue.TaggedOutput:
        return beam.pvalue.TaggedOutput(ODDITIES, ((self._split, kind, feature), names))


def add_oddities(
    summary: Summary, oddities: list[tuple[tuple[str, str, str], Tally]]
) -> Summary:
    """Returns the summary with the counts of oddities."""
    found: dict[str, dict[str, Any]] = {
        split: {"missing": {}} for split in summary.splits
    }
    names: tuple[str, ...] = ()
    for (split, kind, feature), (count, some) in sorted(oddities):
        names = smallest(names, some, MAX_NAMES)
        if kind == MISSING:
            found[split]["missing"][feature] = count
        else:
            found[split][kind] = count
    return summary.model_copy(
        update={
            "feature_names": names,
            "splits": {
                split: counts.model_copy(update=found[split])
                for split, counts in summary.splits.items()
            },
        }
    )
