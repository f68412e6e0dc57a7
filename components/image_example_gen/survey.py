# SPDX-License-Identifier: Apache-2.0
"""Counts what is in the class folders before any picture is read."""

import os

from components.image_example_gen.folder import Entry, Kind, shown, walk
from components.image_example_gen.layout import Layout
from components.image_example_gen.summary import Summary, Tally

_SHARD_BYTES = 1 << 26
"""Bytes of pictures per shard. TensorFlow's guide wants files of 10 MB to 100 MB
and more (tensorflow.org/tutorials/load_data/tfrecord)."""
_SHARD_PICTURES = 10_000
"""Pictures per shard; bounds what one worker sorts."""
_FIELDS = {
    Kind.OTHER: "other_files",
    Kind.HIDDEN: "hidden",
    Kind.REPEATED: "repeated_folders",
}
"""Where the summary has what is no picture."""


def survey(base: str, layout: Layout, metadata: str | None) -> tuple[Summary, int]:
    """Counts the files, and says how many shards they fill.

    Args:
      base: The base folder.
      layout: Where the classes are.
      metadata: Path of the metadata, which is no file that is left over.

    Returns:
      A summary as if every picture could be decoded, and at least 1.

    Raises:
      InputError: If a folder cannot be listed.
    """
    root = os.fsencode(base)
    table = os.path.realpath(os.fsencode(metadata)) if metadata else None
    tally = Tally()
    labels: dict[str, dict[str, int]] = {split: {} for split in layout.splits}
    num_bytes = num_pictures = 0

    def note(entry: Entry) -> None:
        if field := _FIELDS.get(entry.kind):
            if not (table and _is_same(root, entry.path, table)):
                tally.add(shown(entry.path), field)

    for entry in layout.aside:
        note(entry)
    for each in layout.class_folders:
        labels[each.split][each.label] = 0
        for entry in walk(root, each.path):
            if entry.kind is Kind.PICTURE:
                tally.add("", "example", each.split, each.label)
                num_pictures += 1
                num_bytes += entry.size
            else:
                note(entry)
    found = Summary(examples=labels).with_facts(tally.facts())
    num_shards = max(-(-num_bytes // _SHARD_BYTES), -(-num_pictures // _SHARD_PICTURES))
    return found, max(num_shards, 1)


def _is_same(root: bytes, path: bytes, file: bytes) -> bool:
    if os.path.basename(path) != os.path.basename(file):
        return False
    return os.path.realpath(os.path.join(root, path)) == file
