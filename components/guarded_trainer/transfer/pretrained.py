# SPDX-License-Identifier: Apache-2.0
"""Loads pretrained weights from a file, or says which layers disagree.

Only arrays are read: no architecture is restored, no code of the file is run. Keras 3
finds weights by the place of a layer in its model, and older files by the order of
the layers, since names such as `conv2d_7` differ from run to run.
"""

import contextlib
import dataclasses
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import h5py
import keras
import numpy as np

from components.errors import InputError

_ARCHIVED = "model.weights.h5"
"""Name of the weights within a `.keras` archive."""
_MAX_NAMED = 3
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer with weights, as a file has it.

    Attributes:
      name: Its name in the model that was saved.
      shapes: Shape of each of its weights, in the order they were saved.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        shapes = ", ".join("x".join(map(str, s)) or "scalar" for s in self.shapes)
        return f"{self.name} ({shapes})"


def require(path: str | None) -> None:
    """Checks that there is a file with weights.

    Args:
      path: The file; None where none is asked for.

    Raises:
      InputError: If there is no such file.
    """
    if path is not None and not Path(path).is_file():
        raise InputError(
            f"model.transfer.weights: expected `imagenet`, `none` or the path of a "
            f"file, but there is no file {path!r}; correct the path"
        )


def digest(path: str | None) -> str:
    """Returns the SHA-256 of a file with weights, "" where there is none.

    Raises:
      InputError: If there is no such file.
    """
    if path is None:
        return ""
    require(path)
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def load(base: keras.Model, path: str) -> None:
    """Loads the weights of a backbone from a file; it may hold a top as well.

    Args:
      base: A built model without its top; its weights are set.
      path: A `.weights.h5` or `.keras` file of Keras 3, in which the backbone may also
        be a part of a larger model; or an older `.h5` file with the layers in the
        same order.

    Raises:
      InputError: If there is no such file, it cannot be read, it holds the weights
        of another architecture, or some are NaN; names the layers at fault.
    """
    require(path)
    try:
        with _opened(path) as file:
            # An older file of a whole model keeps its weights one level down.
            old = file.get("model_weights", file)
            if "layer_names" in old.attrs or "layer_names0" in old.attrs:
                _load_old(base, old, path)
            else:
                _load_new(base, file, path)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        reason = " ".join(str(error).split())[:240]
        raise InputError(
            f"{path}: expected a `.keras`, `.weights.h5` or `.h5` file with weights, "
            f"but it cannot be read as one: {reason}; save the weights again, with "
            "`model.save_weights('base.weights.h5')`"
        ) from error
    _check_finite(base, path)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
    """Opens the weights, which a `.keras` file holds in an archive."""
    with contextlib.ExitStack() as stack:
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = str(Path(folder, _ARCHIVED))
            with archive.open(_ARCHIVED) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target)
        yield stack.enter_context(h5py.File(path, "r"))


def _load_new(base: keras.Model, file: h5py.File, path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = str(Path(folder, "own.weights.h5"))
        base.save_weights(own)
        with h5py.File(own, "r") as saved:
            expected = _in_order(base, _places(saved))
        came = _places(file)
        root = _closest_root(expected, came)
        wrong = _disagreements(
            [(layer, came.get(root + place)) for place, layer in expected.items()]
        )
        if wrong:
            raise _another_architecture(base, path, len(expected), wrong, came.values())
        part = str(Path(folder, "part.weights.h5"))
        with h5py.File(part, "w") as target:
            for name, group in file[root or "/"].items():
                file.copy(group, target, name)
        base.load_weights(part)


def _places(file: h5py.File) -> dict[str, _Layer]:
    """Returns the layers of a Keras 3 file by their place, such as `layers/dense_1`."""
    layers = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Group) or not name.endswith("/vars"):
            return
        place = name.removesuffix("vars")
        # The state of an optimizer or a random generator is no weight of a layer.
        if place.startswith("optimizer/") or "seed_generator" in place:
            return
        keys = sorted(item, key=lambda key: (len(key), key))
        if keys:
            shapes = tuple(tuple(item[key].shape) for key in keys)
            layers[place] = _Layer(str(item.attrs.get("name", place[:-1])), shapes)

    file.visititems(visit)
    return layers


def _in_order(base: keras.Model, layers: Mapping[str, _Layer]) -> dict[str, _Layer]:
    """Brings layers from the order of their places to that of the model."""
    order = {layer.name: i for i, layer in enumerate(base.layers)}
    placed = sorted(
        layers.items(), key=lambda item: order.get(item[1].name, len(order))
    )
    return dict(placed)


def _closest_root(expected: Mapping[str, _Layer], came: Mapping[str, _Layer]) -> str:
    """Returns the group of the file that is most like the backbone; "" for all."""
    first = next(iter(expected))
    roots = {""} | {p.removesuffix(first) for p in came if p.endswith(f"/{first}")}
    return max(
        sorted(roots),
        key=lambda root: sum(
            came.get(root + place, _Layer("", ())).shapes == layer.shapes
            for place, layer in expected.items()
        ),
    )


def _load_old(base: keras.Model, group: h5py.Group, path: str) -> None:
    expected = [
        _Layer(
            layer.name,
            tuple(
                tuple(w.shape)
                for w in (*layer.trainable_weights, *layer.non_trainable_weights)
            ),
        )
        for layer in base.layers
        if layer.weights
    ]
    came = [
        _Layer(name, tuple(tuple(group[name][w].shape) for w in weights))
        for name in _texts(group, "layer_names")
        if (weights := _texts(group[name], "weight_names"))
    ]
    # What comes after the last layer is the top.
    wrong = _disagreements(list(zip_longest(expected, came[: len(expected)])))
    if wrong:
        raise _another_architecture(base, path, len(expected), wrong, came)
    with tempfile.TemporaryDirectory() as folder:
        # Keras counts the layers, and would refuse a file that has the top as well.
        part = str(Path(folder, "part.h5"))
        with h5py.File(part, "w") as target:
            names = [layer.name for layer in came[: len(expected)]]
            target.attrs["layer_names"] = [name.encode() for name in names]
            for attribute in ("keras_version", "backend"):
                if attribute in group.attrs:
                    target.attrs[attribute] = group.attrs[attribute]
            for name in names:
                group.copy(group[name], target, name)
        base.load_weights(part)


def _check_finite(base: keras.Model, path: str) -> None:
    for weight in base.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise InputError(
                f"{path}: expected finite weights, but {weight.path} holds NaN or "
                "infinity; take the file of a training that did not break"
            )


def _texts(group: h5py.Group, name: str) -> list[str]:
    """Reads a list of texts, which long ones are split into `name0`, `name1`, ..."""
    parts = [name] if name in group.attrs else []
    while not parts or f"{name}{len(parts)}" in group.attrs:
        if f"{name}{len(parts)}" not in group.attrs:
            return []
        parts.append(f"{name}{len(parts)}")
    texts = [text for part in parts for text in group.attrs[part]]
    return [t.decode() if isinstance(t, bytes) else str(t) for t in texts]


def _disagreements(pairs: Sequence[tuple[_Layer, _Layer | None]]) -> list[str]:
    """Says of (expected, came) pairs what is wrong with those that differ."""
    return [
        f"{expected} {f'came as {came}' if came else 'is not in the file'}"
        for expected, came in pairs
        if came is None or came.shapes != expected.shapes
    ]


def _another_architecture(
    base: keras.Model,
    path: str,
    num_layers: int,
    wrong: Sequence[str],
    came: Iterable[_Layer],
) -> InputError:
    more = len(wrong) - _MAX_NAMED
    listed = "; ".join(wrong[:_MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")
    layers = list(came)
    names = ", ".join(layer.name for layer in layers[:_MAX_NAMED])
    holds = f"{len(layers)} layers, such as {names}" if layers else "no layer"
    return InputError(
        f"{path}: expected the weights of {base.name} (without top), but "
        f"{len(wrong)} of its {num_layers} layers disagree: {listed} (the file holds "
        f"{holds}); give the file of this architecture and `options`, or name the "
        "backbone that it was saved from"
    )
