# SPDX-License-Identifier: Apache-2.0
"""Shows the examples that findings name: a text for each row, and a small picture.

A last pass reads the records again and parses only those few that the evidence
names by their digest, so that no pass before it carries texts or pictures.
"""

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from PIL import Image

from components.content.examples import ParsedExample, label_text, record_digest
from components.content.records import Record
from components.findings import Finding
from components.leakage.config import LeakageConfig
from components.leakage.parse import make_parser
from components.leakage.stored import write_file

PICTURES_FOLDER = "pictures"
"""Folder of the pictures, under that of the findings."""
MAX_SIDE = 96
"""Pixels of a picture's longer side at most."""
_MAX_TEXT = 120  # Characters of a group's name.

Shown = dict[str, str]
"""What is known of a record: `row`, and where there is one, `group` and `picture`."""


def named_records(findings: Iterable[Finding]) -> frozenset[str]:
    """Returns the digests, as hexadecimal digits, of all records in the evidence."""
    return frozenset(
        digest
        for finding in findings
        for group in finding.evidence.get("groups", ())
        for digests in group.get("records", {}).values()
        for digest in digests
    )


def show(findings: Iterable[Finding], shown: Mapping[str, Shown]) -> Iterator[Finding]:
    """Puts rows, pictures and names of groups in the place of digests.

    Args:
      findings: Findings whose groups name records.
      shown: What is known of each record, by its digest.

    Yields:
      The findings, in their order. A record that nothing is known of is left out.
    """
    for finding in findings:
        groups = finding.evidence.get("groups", ())
        if any("records" in group for group in groups):
            evidence = {
                **finding.evidence,
                "groups": [_show_group(group, shown) for group in groups],
            }
            yield finding.model_copy(update={"evidence": evidence})
        else:
            yield finding


def _show_group(group: Mapping[str, Any], shown: Mapping[str, Shown]) -> dict[str, Any]:
    named = group.get("records", {})
    known = {
        split: [shown[digest] for digest in digests if digest in shown]
        for split, digests in named.items()
    }
    result = {key: value for key, value in group.items() if key != "records"}
    names = [
        each["group"] for some in known.values() for each in some if "group" in each
    ]
    if names:
        result["group"] = names[0]
    result["rows"] = {
        split: [each["row"] for each in some] for split, some in known.items() if some
    }
    pictures = {
        split: [each["picture"] for each in some if "picture" in each]
        for split, some in known.items()
    }
    if any(pictures.values()):
        result["pictures"] = {split: some for split, some in pictures.items() if some}
    return result


class DescribeRecords(beam.PTransform):
    """Describes the records of some digests, and writes their pictures.

    Input: a PCollection of `Record`. Output: a PCollection of (digest as hexadecimal
    digits, `Shown` as JSON), one per digest that there is.
    """

    def __init__(
        self,
        digests: Collection[str],
        label_key: str,
        config: LeakageConfig,
        folder: str,
    ):
        """Says which records to describe.

        Args:
          digests: Of the records; a number that the evidence bounds.
          label_key: Name of the label feature.
          config: Which features name a row and its group.
          folder: Where to make the folder of the pictures.
        """
        super().__init__()
        self._digests = frozenset(bytes.fromhex(digest) for digest in digests)
        self._label_key = label_key
        self._config = config
        self._folder = folder

    def expand(self, records: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        return (
            records
            | "DescribeNamed"
            >> beam.ParDo(
                _DescribeFn(self._digests, self._label_key, self._config, self._folder)
            )
            # Copies of a record are described alike.
            | "Distinct" >> beam.Distinct()
        )


class _DescribeFn(beam.DoFn):
    def __init__(
        self,
        digests: frozenset[bytes],
        label_key: str,
        config: LeakageConfig,
        folder: str,
    ):
        self._digests = digests
        self._label_key = label_key
        self._config = config
        self._folder = folder

    def setup(self) -> None:
        self._parser = make_parser(self._label_key, self._config)

    def start_bundle(self) -> None:
        self._seen: set[bytes] = set()

    def process(self, record: Record) -> Iterator[tuple[str, str]]:
        digest = record_digest(record.data)
        if digest not in self._digests or digest in self._seen:
            return
        self._seen.add(digest)
        for parsed in self._parser.parse([record]):
            if isinstance(parsed, ParsedExample):
                shown = self._describe(parsed)
                yield digest.hex(), json.dumps(shown, sort_keys=True)

    def _describe(self, example: ParsedExample) -> Shown:
        shown = {"row": example.describe(self._label_key, self._config.ignore)}
        if self._config.group and example.has(self._config.group):
            name = label_text(example.features[self._config.group])
            shown["group"] = name[:_MAX_TEXT]
        if example.pixels is not None:
            name = f"{example.record_digest.hex()}.png"
            write_file(
                f"{self._folder}/{PICTURES_FOLDER}", name, thumbnail(example.pixels)
            )
            shown["picture"] = f"{PICTURES_FOLDER}/{name}"
        return shown


def thumbnail(pixels: np.ndarray) -> bytes:
    """Returns a picture as PNG, shrunk to at most 96 pixels a side.

    Args:
      pixels: uint8, shape (height, width, 3).
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
