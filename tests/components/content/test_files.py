# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.content.files import split_files, split_names
from components.errors import InputError


@pytest.fixture
def make_examples(tmp_path):
    def make(name, splits, files=(), file_format="tfrecords_gzip"):
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / name)
        examples.split_names = artifact_utils.encode_split_names(splits)
        examples_utils.set_payload_format(
            examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
        )
        examples_utils.set_file_format(examples, file_format)
        for split in splits:
            folder = tmp_path / name / f"Split-{split}"
            folder.mkdir(parents=True)
            for file in files:
                (folder / file).touch()
        return examples

    return make


def test_the_splits_are_named(make_examples):
    assert split_names(make_examples("a", ["train", "eval"])) == ["train", "eval"]


def test_no_split_is_no_name(make_examples):
    assert split_names(make_examples("a", [])) == []


def test_other_formats_are_refused_with_the_way_out(make_examples):
    with pytest.raises(InputError, match="TFRecord files") as caught:
        split_names(make_examples("a", ["train"], file_format="parquet"))
    assert "parquet" in str(caught.value)


def test_the_files_of_one_split_of_all_artifacts_come_in_order(make_examples):
    examples = [
        make_examples("b", ["train", "eval"], ["2.gz", "1.gz"]),
        make_examples("a", ["train", "eval"], ["3.gz"]),
    ]
    files = split_files(examples, "eval")
    assert [file.split("Split-")[1] for file in files] == [
        "eval/3.gz",
        "eval/1.gz",
        "eval/2.gz",
    ]


def test_a_split_without_files_has_none(make_examples):
    assert split_files([make_examples("a", ["train"])], "train") == []
