# SPDX-License-Identifier: Apache-2.0
import hashlib
import json

import apache_beam as beam
import numpy as np
import pytest

from components.leakage.near.candidates import FindCandidates, count_candidates
from components.leakage.near.model import NearMatch
from components.leakage.near.verification import VerifyCandidates, record_digest


@pytest.fixture(scope="session")
def fingerprint():
    def of(row):
        content = np.asarray(row, np.float64).tobytes()
        return hashlib.blake2b(content, digest_size=16).digest()

    return of


@pytest.fixture(scope="session")
def to_record():
    """Makes a record: an id of 8 bytes, which is no content, and a row of numbers."""

    def make(row, name=0):
        return int(name).to_bytes(8, "big") + np.asarray(row, np.float64).tobytes()

    return make


@pytest.fixture(scope="session")
def find_matches(tmp_path_factory, fingerprint):
    """Runs both passes over records by split; returns matches by query fingerprint.

    The records are cut into `parts` of their own bundles.
    """

    def row_of(record):
        return np.frombuffer(record, np.float64, offset=8)

    def to_example(split_and_record):
        split, record = split_and_record
        row = row_of(record)
        return split, fingerprint(row), record_digest(record), row

    def to_json(keyed):
        fields = [each.hex() if isinstance(each, bytes) else each for each in keyed[1]]
        return json.dumps([keyed[0].hex(), fields])

    def from_json(text):
        key, fields = json.loads(text)
        is_split_or_number = (1, 5)
        match = NearMatch(
            *(
                each if i in is_split_or_number else bytes.fromhex(each)
                for i, each in enumerate(fields)
            )
        )
        assert match.query_fingerprint.hex() == key
        return match

    def create(pipeline, elements, parts):
        cut = [
            pipeline | f"Create {i}" >> beam.Create(elements[i::parts], reshuffle=False)
            for i in range(parts)
        ]
        return cut | beam.Flatten()

    def find(model, splits, *, parts=1, runner=("--runner=FnApiRunner",), **options):
        folder = str(tmp_path_factory.mktemp("near") / "search")
        elements = [
            (split, record) for split, some in splits.items() for record in some
        ]
        with beam.Pipeline(argv=list(runner)) as pipeline:
            _ = (
                create(pipeline, elements, parts)
                | beam.Map(to_example)
                | FindCandidates(model, folder, list(splits), **options)
            )
        with beam.Pipeline(argv=list(runner)) as pipeline:
            _ = (
                create(pipeline, [record for _, record in elements], parts)
                | VerifyCandidates(model, folder, row_of, **options)
                | beam.Map(to_json)
                | beam.io.WriteToText(
                    f"{folder}/matches", num_shards=1, shard_name_template=""
                )
            )
        with open(f"{folder}/matches") as lines:
            matches = [from_json(line) for line in lines]
        assert len({match.query_fingerprint for match in matches}) == len(matches)
        assert count_candidates(folder) >= len(matches)
        return {match.query_fingerprint: match for match in matches}

    return find
