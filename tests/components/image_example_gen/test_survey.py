# SPDX-License-Identifier: Apache-2.0
from components.image_example_gen import survey as module
from components.image_example_gen.layout import find_layout
from components.image_example_gen.summary import Named
from components.image_example_gen.survey import survey


def test_everything_is_counted(make_folder):
    base = make_folder(
        {"cat/1.png": b"", "cat/b/2.gif": b"", "cat/notes.txt": b"", "dog/3.jpg": b""}
        | {"cat/.x": b"", "emu/x": None, "README.md": b"", "t.csv": b""}
    )
    (base / "cat" / "b" / "loop").symlink_to(base)
    layout = find_layout(str(base))
    found, num_shards = survey(str(base), layout, str(base / "t.csv"))
    assert found.examples == {"all": {"cat": 2, "dog": 1, "emu": 0}}
    assert found.other_files == Named(count=2, first=("README.md", "cat/notes.txt"))
    assert found.hidden == Named(count=1, first=("cat/.x",))
    assert found.repeated_folders == Named(count=1, first=("cat/b/loop",))
    assert num_shards == 1
    found, _ = survey(str(base), layout, None)
    assert "t.csv" in found.other_files.first


def test_shards_grow_with_bytes_and_pictures(make_folder, monkeypatch):
    base = make_folder({f"{c}/{n}.png": b"12345678" for c in "ab" for n in range(3)})
    layout = find_layout(str(base))
    for num_bytes, num_pictures, expected in [
        (48, 6, 1),
        (47, 6, 2),
        (48, 5, 2),
        (8, 6, 6),
    ]:
        monkeypatch.setattr(module, "_SHARD_BYTES", num_bytes)
        monkeypatch.setattr(module, "_SHARD_PICTURES", num_pictures)
        assert survey(str(base), layout, None)[1] == expected
