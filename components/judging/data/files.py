# SPDX-License-Identifier: Apache-2.0
"""Data to judge in files: pictures, CSV, TFRecord, Parquet, or arrays in `.npz`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.content.formats import ENDINGS, format_of
from components.errors import InputError
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.folder import looks_like_pictures
from components.judging.data import archives, records
from components.judging.data.arrays import array_rows
from components.judging.data.batches import Source
from components.judging.data.class_labels import LabelColumn, find_classes
from components.judging.data.csv_files import CsvFiles, find_kinds
from components.judging.data.facts import SplitFacts
from components.judging.data.feeding import Pixels, Wishes, plan
from components.judging.data.parquet_files import ParquetFiles
from components.judging.data.picture_folders import PATH_KEY, PictureFolder
from components.judging.data.records import Records
from components.judging.data.rows import EVAL, TRAIN, of_rows
from components.judging.data.stored import StoredData, StoredSplit
from components.judging.data.tfrecords import TFRecordFiles
from components.judging.spec import ModelSpec

_IMAGES, _ARRAYS = "images", "arrays"
_NAMES = (*ENDINGS, archives.ENDING)


def of_files(
    train: Path,
    eval: Path,
    spec: ModelSpec,
    *,
    label: str = "label",
    image: str | None = None,
    pixels: Pixels = "0..255",
    features: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    class_names: Sequence[str] | None = None,
) -> StoredData:
    """Makes data to judge of files, as `tfx-guard run` reads them.

    Each path is a folder with one sub-folder of pictures per class, or a file or
    folder of files: CSV, TFRecords of tf.Examples or Parquet (CSV and TFRecords also
    gzipped), or `.npz` with arrays x and y. See `feeding.plan` for what becomes the
    model's inputs; arrays are given to it as they are.

    Args:
      train: What the model was trained on.
      eval: What decides.
      spec: What the model wants to be given.
      label: Column with the label, integers or texts; of pictures, it is the folder.
      image: Feature with encoded pictures; None finds it, if there is just one.
      pixels: Range of the pixels that the model wants.
      features: Columns that a model with one input is given, in its order; None, all
        numeric ones.
      ignore: Columns that are neither inputs nor content, such as ids.
      class_names: The classes in the order of the model's outputs; None, integers from
        0 as they are, and other labels sorted, see `class_labels.find_classes`.

    Returns:
      The data; close them, or use them as a context manager.

    Raises:
      InputError: If the files cannot be read, or do not hold what the model wants;
        names file and column.
    """
    kind, other = _kind(train), _kind(eval)
    if kind != other:
        raise InputError(
            f"{eval}: expected {kind}, as in {train}, but there are {other}; give both "
            "splits in one format"
        )
    if kind == _ARRAYS:
        parts = [
            array_rows(archives.read_archive(path, spec, label, ignore), str(path), {})
            for path in (train, eval)
        ]
        return of_rows(*parts, num_classes=spec.num_classes, class_names=class_names)
    ignore = tuple(dict.fromkeys(ignore))
    if kind == _IMAGES:
        ignore = tuple(dict.fromkeys((*ignore, PATH_KEY)))
        sources: list[Source] = [
            PictureFolder(str(path), _pictures(label, image)) for path in (train, eval)
        ]
    else:
        sources = _tables(kind, (train, eval), ignore)
    wishes = Wishes(label, image, pixels, features, ignore)
    folder = tempfile.mkdtemp(prefix="tfx-guard-")
    try:
        return _store(sources, spec, wishes, class_names, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _kind(path: Path) -> str:
    """Returns the format of what lies at a path.

    Raises:
      InputError: If it is missing, no data, or data of several formats.
    """
    if not path.exists():
        raise InputError(
            f"{path}: expected a file or folder with data, but there is nothing; "
            "correct the path"
        )
    if path.is_file():
        kind = _kind_of_file(path)
        if kind is None:
            raise InputError(
                f"{path}: expected a data file ending in {', '.join(_NAMES)}, but it "
                f"ends in {path.suffix or 'nothing'}; rename it after its format"
            )
        return kind
    if looks_like_pictures(path):
        return _IMAGES
    kinds = sorted({format_ for file in path.iterdir() if (format_ := format_of(file))})
    if not kinds:
        raise InputError(
            f"{path}: expected one folder of pictures per class, or data files ending "
            f"in {', '.join(ENDINGS)}, but there are none; correct the path"
        )
    if len(kinds) > 1:
        raise InputError(
            f"{path}: expected data files of one format, but there are "
            f"{' and '.join(kinds)}; move the others away"
        )
    return kinds[0]


def _kind_of_file(path: Path) -> str | None:
    if path.suffix.lower() == archives.ENDING:
        return _ARRAYS
    return format_of(path)


def _tables(kind: str, paths: Sequence[Path], ignore: Sequence[str]) -> list[Source]:
    files = [_files(path, kind) for path in paths]
    if kind == "csv":
        kinds = find_kinds([file for some in files for file in some])
        return [
            CsvFiles(str(path), some, kinds)
            for path, some in zip(paths, files, strict=True)
        ]
    if kind == "parquet":
        return [
            ParquetFiles(str(path), some, ignore)
            for path, some in zip(paths, files, strict=True)
        ]
    return [
        TFRecordFiles(str(path), some) for path, some in zip(paths, files, strict=True)
    ]


def _files(path: Path, kind: str) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.iterdir()
        if format_of(file) == kind and not file.name.startswith(".")
    )


def _pictures(label: str, image: str | None) -> ImageExampleGenConfig:
    if image == label or PATH_KEY in (label, image):
        raise InputError(
            f"image: expected names for label and pictures that differ from each other "
            f"and from {PATH_KEY!r}, but they are {label!r} and {image!r}; leave both "
            "out, for a folder of pictures needs none"
        )
    return ImageExampleGenConfig(label_key=label, image_key=image or _image_key(label))


def _image_key(label: str) -> str:
    return "image" if label != "image" else "picture"


def _store(
    sources: Sequence[Source],
    spec: ModelSpec,
    wishes: Wishes,
    class_names: Sequence[str] | None,
    folder: str,
) -> StoredData:
    written: list[Records] = []
    facts: list[SplitFacts] = []
    labels: list[LabelColumn] = []
    for split, source in zip((TRAIN, EVAL), sources, strict=True):
        facts.append(SplitFacts(source.where))
        labels.append(LabelColumn(wishes.label, source.where))
        path = os.path.join(folder, f"{split}.tfrecord")
        written.append(records.write(path, _read(source, facts[-1], labels[-1])))
        if not len(written[-1]):
            raise InputError(
                f"{source.where}: expected examples, but there are no rows; check how "
                "the data were written and split"
            )
    classes = find_classes(
        labels[0], labels[1], spec.num_classes, class_names, sources[0].where
    )
    feeds = plan(spec, facts[0], facts[1], wishes)
    splits = [
        StoredSplit(name, column.class_ids(classes), rows, feed.parse)
        for name, column, rows, feed in zip(
            (TRAIN, EVAL), labels, written, feeds, strict=True
        )
    ]
    return StoredData(
        train=splits[0],
        eval=splits[1],
        labels=classes,
        label_key=wishes.label,
        image_key=feeds[0].image_key,
        no_input=tuple(wishes.ignore),
        files={split.name: (split.records.path,) for split in splits},
        parse=feeds[1].parse,
        folder=folder,
        input_features=feeds[0].features or None,
    )


def _read(source: Source, facts: SplitFacts, labels: LabelColumn) -> Iterator[bytes]:
    """Yields serialized examples, and notes features and labels on the way."""
    for batch in source.batches():
        labels.add(batch)
        facts.add(batch)
        yield from batch.serialized()
