# SPDX-License-Identifier: Apache-2.0
"""From rows in memory or in a tf.data.Dataset to data that can be judged."""

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from components.errors import InputError
from components.guarded_trainer.reading.label_formats import LabelFormat
from components.judging.data import nesting, records, wire
from components.judging.data.chunks import Rows
from components.judging.data.layout import Layout
from components.judging.data.leaves import as_bytes, make_leaf
from components.judging.data.pixels import Levels, OffLevelsError
from components.judging.data.stored import StoredData, StoredSplit
from components.judging.data.survey import Survey, survey_rows
from components.labels import LabelValue

TRAIN, EVAL = "train", "eval"
_LABEL_KEYS = ("label", "y", "class of the row")
"""Names of the label feature; the first that no input has."""


def of_rows(
    train: Rows,
    evaluation: Rows,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> StoredData:
    """Checks rows and stores them for the time of a judgement.

    Args:
      train: What the model was trained on.
      evaluation: What decides.
      num_classes: Number of classes that the model answers; None takes it from the
        labels.
      class_names: Their names in the order of the model's outputs.

    Raises:
      InputError: If there are no rows, or labels or inputs cannot be used; names the
        argument.
    """
    survey = survey_rows(train, evaluation)
    labels = survey.label_format(num_classes, class_names, f"{train.where} y")
    layout = _layout(train, survey)
    folder = tempfile.mkdtemp(prefix="tfx-guard-")
    try:
        try:
            return _store(train, evaluation, labels, layout, folder)
        except OffLevelsError:
            # A data set that varies its pictures at random has others now.
            plain = _layout(train, survey, with_levels=False)
            return _store(train, evaluation, labels, plain, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _layout(train: Rows, survey: Survey, *, with_levels: bool = True) -> Layout:
    leaves = {}
    for path, array in nesting.arrays_of(survey.first.inputs):
        levels: Levels | None = None
        if with_levels and path in survey.finders:
            levels = survey.finders[path].levels
        leaves[path] = make_leaf(
            nesting.base_name(path),
            array,
            train.columns.get(path, ()),
            levels,
            f"{train.where} {nesting.shown(path)}",
        )
    structure = nesting.map_arrays(lambda *_: None, survey.first.inputs)
    layout = Layout(structure, leaves)
    for name in {name for name in layout.features if layout.features.count(name) > 1}:
        raise InputError(
            f"{train.where} x: expected inputs of different names, but two are called "
            f"{name!r}; rename one"
        )
    return layout


def _store(
    train: Rows, evaluation: Rows, labels: LabelFormat, layout: Layout, folder: str
) -> StoredData:
    label_key = next(key for key in _LABEL_KEYS if key not in layout.features)
    sliced_by = tuple(dict.fromkeys((*train.slices, *evaluation.slices)))
    for name in sliced_by:
        if name in (label_key, *layout.features):
            raise InputError(
                f"slices: expected names that no input has, but {name!r} is one; give "
                "these values another name"
            )
    splits = {}
    for name, rows in ((TRAIN, train), (EVAL, evaluation)):
        class_ids: list[np.ndarray] = []
        written = records.write(
            os.path.join(folder, f"{name}.tfrecord"),
            _encode(rows, labels, layout, label_key, class_ids),
        )
        splits[name] = StoredSplit(
            name,
            np.concatenate(class_ids),
            written,
            layout.decode,
            _reader(rows, layout),
        )
    return StoredData(
        splits[TRAIN],
        splits[EVAL],
        labels.classes,
        label_key,
        layout.image_key,
        sliced_by,
        {name: (split.records.path,) for name, split in splits.items()},
        layout.decode,
        folder,
        layout.features,
    )


def _reader(rows: Rows, layout: Layout) -> Any:
    nothing = np.zeros(0, np.int64)
    if rows.at(nothing) is None:
        return None
    return lambda positions: layout.given(rows.at(positions))


def _encode(
    rows: Rows,
    labels: LabelFormat,
    layout: Layout,
    label_key: str,
    class_ids: list[np.ndarray],
) -> Iterator[bytes]:
    """Yields serialized examples, and appends their class ids."""
    of_class = [_label_feature(label) for label in labels.classes]
    start = 0
    for chunk in rows.chunks():
        count = len(chunk.labels)
        ids = _as_given(labels, chunk.labels).class_ids(chunk.labels, f"{rows.where} y")
        class_ids.append(ids)
        features = layout.encode(chunk.inputs, rows.where)
        features[label_key] = [of_class[i] for i in ids.tolist()]
        for name, values in rows.slices.items():
            features[name] = _slice_features(values[start : start + count])
        yield from wire.join(features, count)
        start += count


def _as_given(labels: LabelFormat, given: np.ndarray) -> LabelFormat:
    """Returns the format of labels that may be one-hot in one split alone."""
    if labels.kind == "names" or given.dtype.kind in "OSU":
        # Of class ids, whose classes are integers, no text is one.
        return dataclasses.replace(labels, kind="names")
    is_one_hot = given.ndim == 2 and given.shape[1] > 1
    return dataclasses.replace(labels, kind="one_hot" if is_one_hot else "ids")


def _label_feature(label: LabelValue) -> wire.Feature:
    if isinstance(label, str):
        return wire.bytes_features([[label.encode()]])[0]
    return wire.int_features(np.array([[label]]))[0]


def _slice_features(values: np.ndarray) -> list[wire.Feature]:
    features: list[wire.Feature] = []
    for value in values.tolist():
        if value is None or value != value:  # NaN, as pandas writes what is missing.
            features.append(None)
        elif isinstance(value, float):
            features += wire.float_features(np.array([[value]]))
        elif isinstance(value, int):
            features += wire.int_features(np.array([[value]]))
        else:
            features += wire.bytes_features([[as_bytes(value)]])
    return features
