# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_evaluator import models
from components.guarded_evaluator.one_by_one import choose_examples, compare
from components.guarded_evaluator.reading import LabelReader

LABELS = LabelReader("label", (0, 1, 2))


def serving(model):
    return models.serving_model("candidate", f"{model.uri}/Format-Serving")


@pytest.fixture
def ask(models_on_disk, blobs, example):
    def run(kind, count=40):
        model = serving(models_on_disk(kind))
        return compare(model, LABELS, blobs["eval"].examples(example)[:count], "eval")

    return run


@pytest.mark.parametrize("kind", ["right", "labelled"])
def test_a_pure_model_answers_the_same(ask, kind):
    pair = ask(kind)
    assert (pair.other, pair.split, pair.num_examples) == ("one_by_one", "eval", 40)
    assert pair.mean_distance < 1e-6
    assert pair.only_candidate_right == pair.only_other_right == 0


def test_a_model_with_batch_statistics_does_not(ask):
    pair = ask("depends on batch")
    assert pair.mean_distance > 0.3
    assert pair.only_candidate_right > 10


def test_what_is_never_finite_is_no_matter_of_the_batch(ask):
    pair = ask("not finite")
    assert (pair.both_wrong, pair.mean_distance) == (40, 0)


def test_no_examples_make_an_empty_comparison(ask):
    assert ask("right", count=0).num_examples == 0


def test_a_label_of_no_class_is_refused(models_on_disk, example):
    model = serving(models_on_disk("right"))
    with pytest.raises(InputError, match="carries .9."):
        compare(model, LABELS, [example(x=[0.0, 0.0, 0.0], label=9)], "eval")


@pytest.fixture
def write(tmp_path):
    def run(name, records):
        options = "GZIP" if name.endswith(".gz") else None
        with tf.io.TFRecordWriter(str(tmp_path / name), options) as writer:
            for record in records:
                writer.write(record)

    return run


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 1000])
def test_chooses_up_to_thirty_two_different_examples(write, tmp_path, count):
    write("a.gz", [b"%d" % i for i in range(count)])
    chosen = choose_examples([str(tmp_path / "*")])
    assert len(chosen) == len(set(chosen)) == min(count, 32)


def test_copies_count_once_and_all_files_are_read(write, tmp_path):
    write("a.gz", [b"same"] * 100)
    write("b", [b"other"])
    assert choose_examples([str(tmp_path / "a*"), str(tmp_path / "b")]) == [
        b"same",
        b"other",
    ]


def test_chooses_from_all_that_is_read(write, tmp_path):
    write("a.gz", [b"%d" % (i // 64) for i in range(256)])
    assert choose_examples([str(tmp_path / "*")]) == [b"0", b"1", b"2", b"3"]
    write("a.gz", [b"%03d" % i for i in range(256)])
    assert np.array(choose_examples([str(tmp_path / "*")]), int)[-1] == 248


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(write, tmp_path, kept):
    write("a", [b"%d" % i * 100 for i in range(20)])
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match=r"/a: expected TFRecords, but .*; write the"):
        choose_examples([str(tmp_path / "a")])
