# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from absl import logging as absl_logging
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.errors import InputError
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.executor import Executor
from components.image_example_gen.summary import FILE, Named, Summary


@pytest.fixture
def run(tmp_path):
    """Runs the executor; returns the artifact and the summary."""

    def execute(base, **config):
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(tmp_path / "tmp"),
            unique_id="1",
        )
        Executor(context).Do(
            {},
            {"examples": [examples]},
            {
                "input_base": str(base),
                "config": ImageExampleGenConfig(**config).to_json(),
            },
        )
        with open(os.path.join(examples.uri, FILE)) as file:
            return examples, Summary.from_json(file.read())

    return execute


@pytest.fixture
def warnings_in_log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        absl_logging,
        "warning",
        lambda message, *args: lines.append(message % args),
    )
    return lines


def test_folder_with_all_that_people_have_becomes_examples(
    run, make_folder, kept, rewritten, read_examples, warnings_in_log, tmp_path
):
    names = [b"a b", b"new\nline", b'"quoted", comma', b"caf\xe9", "\u00e9".encode()]
    train = {
        b"train/%b/%b-%d" % (b"cd"[n % 2 :][:1], names[n % 5], n) + ending: picture
        for n, (ending, picture) in enumerate(
            [(_ending(kind), picture) for kind, picture in kept.items()]
            + [(_ending(kind), picture) for (kind, _), picture in rewritten.items()]
        )
    }
    evaluated = {
        b"eval/c/deep/er/1.PNG": kept["png-rgb"],
        b"eval/d/1.JPG": kept["jpeg-rgb"],
    }
    left_out = {
        b"train/c/empty.jpg": b"",
        b"train/c/text.png": b"text",
        b"train/c/.DS_Store": b"x",
        b"train/d/Thumbs.db": b"x",
        b"train/d/notes.txt": b"x",
    }
    lines = [
        b'"%b",%d,%b' % (path.replace(b'"', b'""'), n % 7, b"2024" if n % 2 else b"")
        for n, path in enumerate([*train, *evaluated, *list(left_out)[:2]])
    ]
    table = b"\r\n".join([b"path,patient,year", *lines])
    base = make_folder(train | evaluated | left_out | {b"train/m.csv": table})
    (base / "train" / "c" / "loop").symlink_to(base)

    examples, summary = run(
        base, metadata=str(base / "train" / "m.csv"), max_undecodable_share=0.05
    )

    assert examples.splits == ["train", "eval"]
    assert examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert examples.get_string_custom_property("file_format") == "tfrecords_gzip"
    assert sorted(os.listdir(examples.uri)) == ["Split-eval", "Split-train", FILE]
    for split in ("train", "eval"):
        shards = os.listdir(os.path.join(examples.uri, f"Split-{split}"))
        assert shards == ["data_tfrecord-00000-of-00001.gz"]

    found = read_examples(examples)
    assert found["train"].keys() == train.keys()
    assert found["eval"].keys() == evaluated.keys()
    for n, (path, picture) in enumerate((train | evaluated).items()):
        split, label = path.split(b"/")[:2]
        example = found[split.decode()][path]
        assert example.keys() - {"year"} == {"image", "label", "patient"}
        assert example["label"] == [label]
        assert example["patient"] == [n % 7]
        assert example.get("year", []) == ([2024] if n % 2 else [])
        if picture in kept.values():
            assert example["image"] == [picture]
        else:
            assert example["image"][0].startswith(b"\x89PNG")

    assert summary.num_examples == len(train | evaluated)
    assert summary.undecodable.first == (
        "train/c/empty.jpg (zero bytes)",
        "train/c/text.png (no JPEG, PNG, BMP, GIF or WebP)",
    )
    assert sum(each.count for each in summary.rewritten.values()) == len(rewritten)
    assert summary.rewritten["webp"].count == 5
    assert summary.animated.count == 3
    assert summary.other_files == Named(count=1, first=("train/d/notes.txt",))
    assert summary.hidden.count == 2
    assert summary.repeated_folders.first == ("train/c/loop",)
    assert examples.get_int_custom_property("num_undecodable") == 2
    (line,) = warnings_in_log
    assert "train/c/empty.jpg (zero bytes)" in line


def _ending(kind):
    return f".{kind.split('-')[0]}".encode()


def test_classes_are_mixed_in_the_order_of_records(
    run, make_folder, png, read_examples
):
    """Else the row order would tell the label, and small shuffle buffers fail."""
    files = {f"{'ab'[n >= 50]}/{n}.png": png(n) for n in range(100)}
    examples, _ = run(make_folder(files))
    labels = [
        example["label"][0] for example in read_examples(examples)["all"].values()
    ]
    changes = sum(a != b for a, b in zip(labels, labels[1:], strict=False))
    # 50 on average, with a standard deviation of 5; 1 if sorted.
    assert 30 < changes < 70


def test_too_many_undecodable_pictures_leave_nothing_behind(
    run, make_folder, png, tmp_path
):
    files = {f"{'ab'[n % 2]}/{n:03}.png": png(n) for n in range(98)}
    base = make_folder(files | {"a/x.png": b"", "a/y.gif": png(1)[:30]})
    with pytest.raises(InputError, match=r"2 of 100 are: a/x.png \(zero bytes\), a/y"):
        run(base)
    assert os.listdir(tmp_path / "examples") == []
    run(base, max_undecodable_share=0.02)


def test_undecodable_classes_and_splits_are_refused(run, make_folder, png):
    base = make_folder({"a/1.png": png(1), "b/2.png": png(2), "c/3.png": b"broken"})
    with pytest.raises(InputError, match="none of 'c'"):
        run(base, max_undecodable_share=1)


def test_bad_folders_are_refused_before_any_picture_is_read(
    run, make_folder, tmp_path, monkeypatch
):
    monkeypatch.delattr(Executor, "_run")
    with pytest.raises(InputError, match="none of 'dog'"):
        run(make_folder({"cat/1.png": b"", "dog/1.txt": b""}))
    assert not (tmp_path / "examples").exists()


def test_rows_and_pictures_must_match(run, make_folder, png, read_examples, tmp_path):
    base = make_folder({"a/1.png": png(1), "a/2.png": png(2), "b/1.png": png(3)})
    file = tmp_path / "m.csv"
    file.write_text("path,x\na/1.png,1\nb/1.png,2\nb/9.png,3\n")
    with pytest.raises(InputError, match="none for 1: a/2.png;"):
        run(base, metadata=str(file))
    examples, summary = run(base, metadata=str(file), on_unmatched="ignore")
    assert summary.unmatched_pictures.first == ("a/2.png",)
    assert summary.unmatched_rows.first == ("b/9.png",)
    found = read_examples(examples)["all"]
    assert {path: each.get("x") for path, each in found.items()} == {
        b"a/1.png": [1],
        b"a/2.png": None,
        b"b/1.png": [2],
    }
    file.write_text("path,x\na/1.png,1\na/2.png,2\nb/1.png,2\na/1.png,3\n")
    with pytest.raises(InputError, match="several for 1: a/1.png;"):
        run(base, metadata=str(file))
    file.write_text("path,x\n1.png,1\n2.png,2\n")
    with pytest.raises(InputError, match="several have 1: 1.png;"):
        run(base, metadata=str(file))
