# SPDX-License-Identifier: Apache-2.0
import collections
import gzip
import io
import logging

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits
from tensorflow.core.example import example_pb2
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from components.errors import InputError
from components.example_splitter.config import SplitConfig
from components.example_splitter.executor import Executor


@pytest.fixture
def split(tmp_path, write_examples):
    """Splits records, given as a list or by input split; returns those by split."""
    number = iter(range(100))

    def run(records, label_key="label", span=0, files=None, **config):
        folder = tmp_path / f"run-{next(number)}"
        if not isinstance(records, dict):
            records = {"all": records}
        unsplit = files or [write_examples(folder / "in", records, span)]
        output = standard_artifacts.Examples()
        output.uri = str(folder / "out")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(folder / "tmp"),
            unique_id="1",
        )
        Executor(context).Do(
            {"unsplit_examples": unsplit},
            {"examples": [output]},
            {"label_key": label_key, "config": SplitConfig(**config).to_json()},
        )
        run.output = output
        return {name: read(output, name) for name in output.splits}

    return run


def read(examples, split):
    (pattern,) = examples_utils.get_split_file_patterns([examples], split)
    files = sorted(tf.io.gfile.glob(pattern))
    assert all(gzip.open(file).read(1) for file in files if tf.io.gfile.stat(file))
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def value(record, name):
    feature = example_pb2.Example.FromString(record).features.feature[name]
    return getattr(feature, feature.WhichOneof("kind")).value[0]


def values(records, name):
    return collections.Counter(value(record, name) for record in records)


@pytest.fixture(scope="module")
def scans(example):
    """Rows of breast cancer, in groups of one to seven, each of one day."""
    data, target = load_breast_cancer(return_X_y=True)
    groups = np.repeat(np.arange(200), np.arange(200) % 7 + 1)[:569]
    return [
        example(
            x=row.astype(float).tolist(),
            label=int(label),
            patient=f"P{group}".encode(),
            day=int(group) // 2,
            row=number,
        )
        for number, (row, label, group) in enumerate(
            zip(data, target, groups, strict=True)
        )
    ]


@pytest.fixture(scope="module")
def pictures(example):
    """Digits, each stored as PNG and as BMP; of class 99, one digit only."""
    images, target = load_digits(return_X_y=True)
    return [
        example(
            image=encode(images[number], kind),
            label=99 if number == 17 else int(target[number]),
            path=f"{number}.{kind}".encode(),
        )
        for number in range(200)
        for kind in ("PNG", "BMP")
    ]


def encode(image, kind):
    file = io.BytesIO()
    pixels = (image.reshape(8, 8) * 15).astype(np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_equal_contents_stay_together_and_no_class_is_missing(split, pictures, caplog):
    config = {"ignore": ("path",), "image": "image"}
    with caplog.at_level(logging.WARNING):
        found = split(pictures, span=7, **config)
    assert sorted(found["train"] + found["eval"]) == sorted(pictures)
    stems = [
        {value(record, "path").split(b".")[0] for record in found[name]}
        for name in ("train", "eval")
    ]
    assert not stems[0] & stems[1]
    assert len(stems[1]) == pytest.approx(40, abs=5)  # 10 classes are rounded.
    assert len(values(found["eval"], "label")) == 10
    # The class of one content stays in training, and is named.
    assert len(values(found["train"], "label")) == 11
    assert "1 classes, such as 99" in caplog.text

    output = split.output
    assert artifact_utils.decode_split_names(output.split_names) == ["train", "eval"]
    assert examples_utils.get_payload_format_string(output) == "FORMAT_TF_EXAMPLE"
    assert examples_utils.get_file_format(output) == "tfrecords_gzip"
    assert output.span == 7


def test_order_sharding_and_input_splits_do_not_count(split, scans):
    config = {"ignore": ("patient", "day", "row"), "eval_share": 0.25}
    whole = split(scans, **config)
    assert values(whole["train"], "label") == {0: 159, 1: 268}
    assert values(whole["eval"], "label") == {0: 53, 1: 89}
    thirds = {name: scans[start::3][::-1] for start, name in enumerate("abc")}
    cut = split(thirds, **config, train_split="fit", eval_split="judge")
    assert sorted(cut["fit"]) == sorted(whole["train"])
    assert sorted(cut["judge"]) == sorted(whole["eval"])


def test_group_is_never_in_both(split, scans):
    found = split(scans, by="group", group="patient")
    groups = [values(found[name], "patient") for name in ("train", "eval")]
    assert not groups[0].keys() & groups[1]
    assert len(groups[1]) == pytest.approx(0.2 * len(values(scans, "patient")), abs=1)
    assert len(values(found["eval"], "label")) == 2


def test_evaluation_is_newer_by_time(split, scans):
    found = split(scans, by="time", time="day")
    assert max(values(found["train"], "day")) < min(values(found["eval"], "day"))
    assert len(found["eval"]) == pytest.approx(0.2 * len(scans), abs=7)


def test_record_that_is_no_example_is_named(split, scans):
    with pytest.raises(InputError, match=r"\.gz, record 40: .*\(1 such records\)"):
        split([*scans[:40], b"\xffnothing", *scans[40:]])


def test_file_that_breaks_off_is_named_and_nothing_is_written(
    split, scans, tmp_path, write_examples
):
    examples = write_examples(tmp_path / "broken", {"all": scans})
    (path,) = (tmp_path / "broken" / "Split-all").iterdir()
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"00001\.gz: .*broke off at record \d+"):
        split([], files=[examples])
    assert not list(tmp_path.glob("run-*/out/*"))


def test_no_examples_are_an_error(split):
    with pytest.raises(InputError, match="two or more, but there are none"):
        split([])


def test_other_payload_is_refused(split, scans, tmp_path, write_examples):
    examples = write_examples(tmp_path / "other", {"all": scans[:2]})
    examples.set_string_custom_property("payload_format", "FORMAT_PROTO")
    with pytest.raises(InputError, match="FORMAT_PROTO"):
        split([], files=[examples])
