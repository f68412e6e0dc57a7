# SPDX-License-Identifier: Apache-2.0
"""Whole searches on real data: every kind of leak with its cause, and no other."""

import io
import os
import warnings

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import datasets

from components.causes import Severity
from components.errors import InputError
from components.leakage.config import LeakageConfig
from components.leakage.search import Search
from components.leakage.validation import validate

BLOCK, WARN = Severity.BLOCK, Severity.WARN


@pytest.fixture
def find(tmp_path):
    """Validates records by split; returns the findings."""

    def run(splits, shards=1, argv=("--runner=FnApiRunner",), **config):
        files = {}
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        folder.mkdir()
        for split, records in splits.items():
            files[split] = []
            for shard in range(shards):
                path = str(folder / f"{split}-{shard}.gz")
                files[split].append(path)
                with tf.io.TFRecordWriter(path, "GZIP") as writer:
                    for record in records[shard::shards]:
                        writer.write(record)
        settings = LeakageConfig(**config)
        search = Search(
            lambda: beam.Pipeline(argv=list(argv)),
            files,
            "label",
            settings,
            str(folder / "scratch"),
        )
        clean = None
        if settings.quarantine:
            clean = {split: str(folder / "clean" / split) for split in splits}
        return validate(search, "label", settings, str(folder), clean)

    return run


def causes(findings):
    return [(finding.cause, finding.severity) for finding in findings]


@pytest.fixture(scope="module")
def cancer(example):
    """scikit-learn's breast cancer data as records: one feature per column."""
    data = datasets.load_breast_cancer()
    return [
        example(
            label=int(label),
            **{name: float(x) for name, x in zip(data.feature_names, row, strict=True)},
        )
        for row, label in zip(data.data, data.target, strict=True)
    ]


def rows_of(example, rows, labels, **more):
    return [
        example(
            x=row.tolist(),
            label=int(label),
            **{name: values[place] for name, values in more.items()},
        )
        for place, (row, label) in enumerate(zip(rows, labels, strict=True))
    ]


@pytest.fixture(scope="module")
def tiles():
    """Pictures of 64 x 64 pixels cut from scikit-learn's two photos, in random order;
    none overlaps another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photos = datasets.load_sample_images().images
    cut = [
        (photo[y : y + 64, x : x + 64], label)
        for label, photo in enumerate(photos)
        for y in range(0, 384, 64)
        for x in range(0, 640, 64)
    ]
    return [cut[place] for place in np.random.default_rng(0).permutation(len(cut))]


def encode(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def pictures_of(example, some, kind="PNG", start=0, **options):
    return [
        example(
            image=encode(pixels, kind, **options),
            label=label,
            path=f"{kind}/{place}".encode(),
        )
        for place, (pixels, label) in enumerate(some, start)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_untouched_rows_have_no_findings(find, cancer, seed):
    order = np.random.default_rng(seed).permutation(len(cancer))
    shuffled = [cancer[place] for place in order]
    assert find({"train": shuffled[:400], "eval": shuffled[400:]}) == []


def test_planted_duplicates_are_found_and_nothing_else(find, digits):
    leaked = digits[:20] + digits[:1] * 5
    splits = {"train": digits[:1437], "eval": digits[1437:] + leaked}
    (finding,) = find(splits, ignore=("row",))
    assert causes([finding]) == [("duplicate_leakage", BLOCK)]
    assert finding.measured == 25 / 385
    groups = finding.evidence["groups"]
    assert len(groups) == 10
    assert groups[0]["examples"] == {"eval": 6, "train": 1}
    assert groups[0]["rows"] == {"eval": ["row=0"], "train": ["row=0"]}
    assert {group["examples"]["eval"] for group in groups[1:]} == {1}


def test_planted_near_duplicates_are_found_and_nothing_else(find, example):
    rows, labels = datasets.load_breast_cancer(return_X_y=True)
    moved = rows[:20] + 1e-4 * rows.std(axis=0) * [[(-1) ** n] for n in range(20)]
    train = rows_of(example, rows[:400], labels[:400])
    evaluated = rows_of(example, rows[400:], labels[400:])
    evaluated += rows_of(example, moved, labels[:20]) * 2
    (finding,) = find({"train": train, "eval": evaluated})
    assert causes([finding]) == [("near_duplicate_leakage", BLOCK)]
    assert finding.measured == 40 / (169 + 40)
    assert finding.evidence["num_groups"] == 20
    assert finding.evidence["groups"][0]["examples"] == {"eval": 2, "train": 1}
    assert 0 < finding.evidence["groups"][0]["similarity"] <= 1


def test_groups_and_times_in_both_splits_are_found_and_nothing_else(find, example):
    rows, labels = datasets.load_breast_cancer(return_X_y=True)
    patients = [b"patient %d" % (n // 4) for n in range(len(rows))]
    days = [b"2026-01-01T%02d:%02d:00Z" % divmod(n, 60) for n in range(len(rows))]
    records = rows_of(example, rows, labels, patient=patients, day=days)
    options = {"group": "patient", "time": "day"}
    assert find({"train": records[:400], "eval": records[400:]}, **options) == []

    # Patient 100 has records 400 to 403; records 300 to 399 are older than those.
    train = records[:300] + records[400:402]
    evaluated = records[300:400] + records[402:]
    group, time = find({"train": train, "eval": evaluated}, **options)
    assert causes([group, time]) == [
        ("group_leakage", BLOCK),
        ("temporal_leakage", BLOCK),
    ]
    assert group.evidence["num_examples"] == 2
    (shared,) = group.evidence["groups"]
    assert shared["group"] == "patient 100"
    assert shared["examples"] == {"eval": 2, "train": 2}
    assert time.evidence["num_examples"] == 100
    assert time.evidence["times"]["train"]["newest"] == "2026-01-01T06:41:00Z"


def test_copy_of_the_label_is_found_and_nothing_else(find, example):
    rows, labels = datasets.load_breast_cancer(return_X_y=True)
    records = rows_of(
        example, rows, labels, outcome=[[b"no", b"yes"][n] for n in labels]
    )
    findings = find({"train": records[:400], "eval": records[400:]})
    assert causes(findings) == [("label_leakage", BLOCK)]
    assert findings[0].subject.feature == "outcome"


def test_same_picture_in_another_format_is_a_duplicate(find, example, tiles, tmp_path):
    train = pictures_of(example, tiles[::2])
    evaluated = pictures_of(example, tiles[1::2]) + pictures_of(
        example, tiles[:8:2], "BMP"
    )
    (finding,) = find(
        {"train": train, "eval": evaluated}, ignore=("path",), near_duplicates=False
    )
    assert causes([finding]) == [("duplicate_leakage", BLOCK)]
    assert finding.evidence["num_examples"] == 4
    for group in finding.evidence["groups"]:
        assert group["rows"]["eval"][0].startswith("path='BMP/")
        shown = [
            Image.open(io.BytesIO(next(tmp_path.glob(f"*/{name}")).read_bytes()))
            for split in ("train", "eval")
            for name in group["pictures"][split]
        ]
        assert shown[0].size == (64, 64)
        assert shown[0].tobytes() == shown[1].tobytes()


def test_changed_copies_of_pictures_are_near_duplicates_and_nothing_else(
    find, example, tiles
):
    train = pictures_of(example, tiles[:80])
    changed = [
        (np.minimum(pixels.astype(int) + 20, 255).astype(np.uint8), label)
        for pixels, label in tiles[:10]
    ]
    evaluated = pictures_of(example, tiles[80:])
    evaluated += pictures_of(example, changed, "JPEG", quality=85)
    (finding,) = find({"train": train, "eval": evaluated}, ignore=("path",))
    assert causes([finding]) == [("near_duplicate_leakage", BLOCK)]
    # A flat piece of sky has too little to be told by; no other picture is accused.
    assert 5 <= finding.evidence["num_examples"] <= 10
    for group in finding.evidence["groups"]:
        (copy,), (original,) = group["rows"]["eval"], group["rows"]["train"]
        assert copy.replace("JPEG", "PNG") == original


def test_pictures_that_cannot_be_decoded_are_left_out_and_named(find, example, tiles):
    train = pictures_of(example, tiles[:60])
    evaluated = pictures_of(example, tiles[60:])
    evaluated[7] = example(image=b"", label=1, path=b"empty.png")
    options = {"image": "image", "ignore": ("path",), "near_duplicates": False}
    splits = {"train": train, "eval": evaluated}
    (finding,) = find(splits, max_unreadable_share=0.05, **options)
    assert causes([finding]) == [("schema_anomaly", WARN)]
    assert finding.measured == 1 / 60
    assert "path='empty.png'" in finding.message
    with pytest.raises(InputError, match="1 of 60 records are not .*empty.png"):
        find(splits, **options)


def test_content_of_many_copies_is_one_group(find, example):
    copy = example(x=[1.0] * 8, label=1)
    (leak, repeats) = find({"train": [copy] * 15_000, "eval": [copy] * 5_000})
    assert leak.measured == 1
    (group,) = leak.evidence["groups"]
    assert group["examples"] == {"eval": 5_000, "train": 15_000}
    assert len(leak.to_json()) < 1_500
    assert causes([repeats]) == [("duplicate_leakage", Severity.INFO)]


def test_quarantine_leaves_out_every_leak_and_nothing_else(find, example, tmp_path):
    rows, labels = datasets.load_breast_cancer(return_X_y=True)
    patients = [n // 2 for n in range(len(rows))]
    records = rows_of(example, rows, labels, patient=patients)
    moved = rows_of(example, rows[:3] * (1 + 1e-7), labels[:3], patient=[900, 901, 902])
    train, honest = records[:401], records[402:]
    evaluated = [*honest[:50], *records[:2], records[401], *moved, *honest[50:]]
    findings = find(
        {"train": train, "eval": evaluated}, group="patient", quarantine=True, shards=2
    )
    assert causes(findings) == [
        ("duplicate_leakage", WARN),
        ("near_duplicate_leakage", WARN),
        ("group_leakage", WARN),
    ]
    assert [f.evidence["num_left_out"] for f in findings] == [2, 3, 3]
    read = {
        split: [
            record
            for path in tmp_path.glob(f"*/clean/{split}/*.gz")
            for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()
        ]
        for split in ("train", "eval")
    }
    assert sorted(read["train"]) == sorted(train)
    assert sorted(read["eval"]) == sorted(honest)


def test_quarantine_that_leaves_nothing_blocks(find, digits):
    findings = find(
        {"train": digits[:100], "eval": digits[:10]}, ignore=("row",), quarantine=True
    )
    assert causes(findings) == [
        ("duplicate_leakage", WARN),
        ("insufficient_evidence", BLOCK),
    ]


def test_result_depends_neither_on_sharding_nor_on_order(find, digits):
    train = digits[:1000] + digits[:100]
    evaluated = digits[1000:1200] + digits[:30]
    found = [
        find(
            {"train": train[::step], "eval": evaluated[::step]}, shards, ignore=("row",)
        )
        for step, shards in ((1, 1), (-1, 5))
    ]
    assert found[0] == found[1]
    assert causes(found[0])[0] == ("duplicate_leakage", BLOCK)


def test_pass_that_fails_blocks_and_the_others_still_judge(find, digits, monkeypatch):
    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr(Search, "find_near_duplicates", broken)
    monkeypatch.setattr(Search, "describe", broken)
    splits = {"train": digits[:100], "eval": digits[99:150]}
    near, leak, shown = find(splits, ignore=("row",))
    assert causes([near, shown]) == [("check_failed", BLOCK)] * 2
    assert "near-duplicate leakage could not run: OSError" in near.message
    assert leak.cause == "duplicate_leakage"


@pytest.mark.parametrize("empty", [("train",), ("eval",), ("train", "eval")])
def test_empty_splits_block(find, digits, empty):
    splits = {"train": digits[:50], "eval": digits[50:100]}
    findings = find({s: [] if s in empty else r for s, r in splits.items()})
    assert all(finding.blocks for finding in findings)
    assert {f.cause for f in findings} <= {"check_failed", "insufficient_evidence"}
    assert [f.subject.split for f in findings] == list(empty)
