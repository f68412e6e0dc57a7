# SPDX-License-Identifier: Apache-2.0
import pytest

from components.errors import InputError
from components.image_example_gen.folder import Kind
from components.image_example_gen.layout import find_layout

TWO_CLASSES = {"cat/1.png": b"1", "dog/2.png": b"2"}


def layout_of(base, **options):
    layout = find_layout(str(base), **options)
    return [(each.split, each.label, each.path) for each in layout.class_folders]


def test_class_folders_are_one_split(make_folder):
    assert layout_of(make_folder(TWO_CLASSES)) == [
        ("all", "cat", b"cat"),
        ("all", "dog", b"dog"),
    ]


def test_name_of_the_one_split_is_configured(make_folder):
    found = layout_of(make_folder(TWO_CLASSES), whole_split="every")
    assert {split for split, _, _ in found} == {"every"}


def test_train_and_eval_are_splits_and_so_is_a_test_beside_them(make_folder):
    base = make_folder({"train/a/1.png": b"", "eval/b/1.png": b""})
    assert layout_of(base) == [
        ("train", "a", b"train/a"),
        ("eval", "b", b"eval/b"),
    ]
    make_folder({"test/b/1.png": b""})
    assert layout_of(base)[2] == ("test", "b", b"test/b")
    assert find_layout(str(base)).splits == ("train", "eval", "test")


def test_folders_of_splits_are_configured(make_folder):
    base = make_folder({"x/fit/a/1.png": b"", "val/b/1.png": b"", "val/c/1.png": b""})
    splits = {"train": "x/fit", "eval": "./val/"}
    assert layout_of(base, splits=splits) == [
        ("train", "a", b"x/fit/a"),
        ("eval", "b", b"val/b"),
        ("eval", "c", b"val/c"),
    ]
    with pytest.raises(InputError, match="'no'.*'eval'.*correct `splits`"):
        find_layout(str(base), {"train": "x/fit", "eval": "no"})


def test_no_splits_on_request(make_folder):
    base = make_folder({"train/1.png": b"", "plane/1.png": b"", "eval/1.png": b""})
    assert [label for _, label, _ in layout_of(base, splits={})] == [
        "eval",
        "plane",
        "train",
    ]


def test_a_class_may_be_called_train(make_folder):
    base = make_folder({"train/1.png": b"", "plane/1.png": b""})
    assert [label for _, label, _ in layout_of(base)] == ["plane", "train"]


@pytest.mark.parametrize(
    "names", [["train"], ["train", "val"], ["Training", "test"], ["train", "dev", "x"]]
)
def test_splits_of_other_names_do_not_become_classes(make_folder, names):
    base = make_folder({f"{name}/cat/1.png": b"" for name in names})
    with pytest.raises(InputError, match=f"'{sorted(names[:2])[0]}'.*`splits`"):
        find_layout(str(base))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, "one folder of pictures per class.*none", id="empty"),
        pytest.param(
            {"a.png": b"", "cat/1.png": b""}, "1 lie outside.*a.png", id="loose-picture"
        ),
        pytest.param(
            {"train/a.png": b"", "train/b/1.png": b"", "eval/b/1.png": b""},
            "train.*1 lie outside.*train/a.png",
            id="loose-picture-in-a-split",
        ),
        pytest.param(
            {"a.png": b"", "train/b/1.png": b"", "eval/b/1.png": b""},
            "1 lie outside.*a.png",
            id="loose-picture-beside-splits",
        ),
        pytest.param(
            {"train/a/1.png": b"", "eval/b/1.png": b"", "more/c/1.png": b""},
            "'more'.*`splits`",
            id="pictures-beside-splits",
        ),
        pytest.param(
            {"train/a/1.png": b"", "train/b/1.png": b"", "eval/x.txt": b""},
            "eval.*there is none",
            id="split-without-classes",
        ),
        pytest.param(
            {"images/cat/1.png": b"", "images/dog/2.png": b""},
            "one only, 'images'.*sub-folders",
            id="one-level-too-high",
        ),
        pytest.param(
            {"Cat/1.png": b"", "cat/2.png": b""}, "'Cat' and 'cat'", id="case"
        ),
        pytest.param(
            {"train/Cat/1.png": b"", "train/dog/1.png": b"", "eval/cat/1.png": b""},
            "'train/Cat' and 'eval/cat'",
            id="case-across-splits",
        ),
        pytest.param({"cat/1.png": b"", "cat /2.png": b""}, "'cat '", id="space"),
        pytest.param(
            {"caf\u00e9/1.png": b"", "cafe\u0301/2.png": b""},
            "Unicode form",
            id="unicode-form",
        ),
        pytest.param(
            {b"caf\xe9/1.png": b"", "dog/2.png": b""},
            r"caf\\xe9.*UTF-8.*rename",
            id="not-utf-8",
        ),
    ],
)
def test_wrong_folders_are_refused(make_folder, files, message):
    base = make_folder(files)
    with pytest.raises(InputError, match=message) as caught:
        find_layout(str(base))
    assert str(base) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("base", ["", "gs://bucket/photos", "file:///photos"])
def test_urls_are_refused(base):
    with pytest.raises(InputError, match="local or mounted"):
        find_layout(base)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        find_layout(str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a file"):
        find_layout(str(tmp_path / "file"))


def test_what_is_neither_split_nor_class_is_named(make_folder):
    base = make_folder(
        {"train/a/1.png": b"", "train/b/1.png": b"", "eval/b/1.png": b""}
        | {"notes.txt": b"", "docs/x.txt": b"", "eval/.DS_Store": b"", ".git/x": b""}
    )
    aside = {(each.kind, each.path) for each in find_layout(str(base)).aside}
    assert aside == {
        (Kind.OTHER, b"notes.txt"),
        (Kind.OTHER, b"docs"),
        (Kind.HIDDEN, b"eval/.DS_Store"),
        (Kind.HIDDEN, b".git"),
    }
