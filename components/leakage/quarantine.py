# SPDX-License-Identifier: Apache-2.0
"""Writes the examples again, without those that leak."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from components.causes import Severity
from components.content.examples import record_digest
from components.content.records import RECORDS, ReadRecords, Record
from components.findings import Finding, Subject, find
from components.leakage.config import LeakageConfig
from components.leakage.shares import FOUND_BY
from components.leakage.stored import make_folder, read_file, write_file
from components.leakage.summary import Summary

LEAKS = (
    "duplicate_leakage",
    "near_duplicate_leakage",
    "group_leakage",
    "temporal_leakage",
)
"""Causes whose examples are left out."""
KEPT = "kept"
"""Counts the examples that were written; stands beside the causes."""

_LEFT_OUT = "left_out"
_FILE_NAME = "data_tfrecord"  # As TFX's ExampleGen names its files.


class WriteKept(beam.PTransform):
    """Writes the records that do not leak, split by split.

    Input: the pipeline. Output: a PCollection of ((split, cause or `kept`), count).

    Memory: a worker holds 8 bytes per record that leaks.
    """

    def __init__(
        self,
        files: Mapping[str, Sequence[str]],
        folders: Mapping[str, str],
        leaks: Mapping[str, np.ndarray],
        scratch: str,
    ):
        """Says what to write, and where.

        Args:
          files: Paths of the files of each split to be cleaned.
          folders: Where to write each of them.
          leaks: By cause, the digests of the records that leak, uint64, ascending.
          scratch: Path of a folder that all workers see.
        """
        super().__init__()
        self._files = files
        self._folders = folders
        # Through a file: a pipeline's description has no room for them.
        self._leaks = {
            cause: write_file(scratch, f"leaks-{cause}", digests.tobytes())
            for cause, digests in leaks.items()
        }

    def expand(self, pipeline: beam.pvalue.PBegin) -> beam.PCollection:
        """Wires the steps."""
        counts = []
        for split, files in self._files.items():
            read = pipeline | f"Read[{split}]" >> ReadRecords(files)
            sorted_out = read[RECORDS] | f"SortOut[{split}]" >> beam.ParDo(
                _SortOutFn(self._leaks)
            ).with_outputs(_LEFT_OUT, main=KEPT)
            _ = sorted_out[KEPT] | f"Write[{split}]" >> beam.io.WriteToTFRecord(
                os.path.join(self._folders[split], _FILE_NAME), file_name_suffix=".gz"
            )
            counts += [
                sorted_out[_LEFT_OUT]
                | f"NameSplit[{split}]" >> beam.Map(_with_split, split)
            ]
        return (
            tuple(counts)
            | "FlattenCounts" >> beam.Flatten(pipeline=pipeline.pipeline)
            | "AddUp" >> beam.CombinePerKey(sum)
        )


def _with_split(counted: tuple[str, int], split: str) -> tuple[tuple[str, str], int]:
    cause, count = counted
    return (split, cause), count


class _SortOutFn(beam.DoFn):
    """Yields the records that do not leak; counts them and the others by cause."""

    def __init__(self, leaks: Mapping[str, str]):
        self._files = dict(leaks)

    def setup(self) -> None:
        self._leaks = {
            cause: np.frombuffer(read_file(path), np.uint64)
            for cause, path in self._files.items()
        }

    def process(self, record: Record) -> Iterator[Any]:
        digest = np.uint64(int.from_bytes(record_digest(record.data), "big"))
        leaks = False
        for cause, digests in self._leaks.items():
            place = digests.searchsorted(digest)
            if place < len(digests) and digests[place] == digest:
                leaks = True
                yield beam.pvalue.TaggedOutput(_LEFT_OUT, (cause, 1))
        if leaks:
            return
        yield beam.pvalue.TaggedOutput(_LEFT_OUT, (KEPT, 1))
        yield record.data


def copy_split(files: Sequence[str], folder: str) -> None:
    """Copies the files of a split as they are, into a folder that is made.

    They get new names, because files of several artifacts may share one.
    """
    make_folder(folder)
    for number, file in enumerate(files):
        ending = ".gz" if file.endswith(".gz") else ""
        name = f"{_FILE_NAME}-{number:05}-of-{len(files):05}{ending}"
        FileSystems.copy([file], [FileSystems.join(folder, name)])


def settle(
    findings: Sequence[Finding],
    summary: Summary,
    counts: Mapping[tuple[str, str], int],
    config: LeakageConfig,
) -> Iterator[Finding]:
    """Judges what was left out.

    Leaks that were left out no longer block: they warn. If not exactly those were
    left out that had been counted, or nothing is left of a split, that blocks.

    Args:
      findings: All findings so far.
      summary: What had been counted.
      counts: What was written, and left out by cause, by split.
      config: The limits.

    Yields:
      The findings, in their order, and those about the splits as they are now.
    """
    for finding in findings:
        split = finding.subject.split
        left_out = counts.get((split or "", finding.cause), 0)
        if (
            finding.cause not in LEAKS
            or split == config.reference_split
            or not left_out
            or left_out != finding.evidence.get("num_examples")
        ):
            yield finding
            continue
        total = summary.contents.splits[split or ""].examples
        yield finding.model_copy(
            update={
                "severity": Severity.WARN,
                "message": f"{finding.message} {left_out} of {total} examples of split "
                f"{split} were left out.",
                "evidence": {**finding.evidence, "num_left_out": left_out},
            }
        )
    yield from _judge_agreement(summary, counts, config)


def expected_counts(
    summary: Summary, config: LeakageConfig
) -> dict[tuple[str, str], int]:
    """Returns how many examples leak by split and cause, as they were counted."""
    tallies = {
        "duplicate_leakage": summary.contents,
        "near_duplicate_leakage": summary.near,
        "group_leakage": summary.groups,
    }
    expected = {
        (split, cause): counts.shared_examples
        for cause, tally in tallies.items()
        for split, counts in (tally.splits if tally else {}).items()
    }
    for split, times in (summary.times or {}).items():
        expected[split, "temporal_leakage"] = times.older_examples
    return {
        key: count
        for key, count in expected.items()
        if count and key[0] != config.reference_split
    }


def _judge_agreement(
    summary: Summary, counts: Mapping[tuple[str, str], int], config: LeakageConfig
) -> Iterator[Finding]:
    expected = expected_counts(summary, config)
    left_out = {key: count for key, count in counts.items() if key[1] != KEPT}
    for split, cause in sorted({*expected, *left_out}):
        wanted, came = expected.get((split, cause), 0), left_out.get((split, cause), 0)
        if wanted != came:
            yield find(
                "check_failed",
                f"{wanted} examples of split {split} should have been left out for "
                f"{cause}, but {came} were.",
                remedy="Run again, without changing the examples meanwhile.",
                subject=Subject(split=split),
                measured=float(came),
                limit=float(wanted),
                unit="examples",
                found_by=FOUND_BY,
            )
    for split, each in summary.contents.splits.items():
        if split == config.reference_split or not each.examples:
            continue
        kept = counts.get((split, KEPT), 0)
        if kept <= (odd.unreadable if (odd := summary.oddities.get(split)) else 0):
            yield find(
                "insufficient_evidence",
                f"All {each.examples} examples of split {split} leak, so nothing is "
                "left of it, and no model can be judged on it.",
                remedy="Collect new examples for the evaluation.",
                subject=Subject(split=split),
                measured=0.0,
                limit=1.0,
                unit="examples",
                found_by=FOUND_BY,
            )
