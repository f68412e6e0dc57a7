# SPDX-License-Identifier: Apache-2.0
"""Turns whatever is given as a model into one that can be asked."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from components.errors import InputError
from components.judging.models import keras_files
from components.judging.models.asked import AskedModel
from components.judging.models.functions import FunctionModel
from components.judging.models.in_memory import KerasModel, input_specs
from components.judging.models.pairs import PairedModel
from components.judging.models.saved_models import SavedModel

_REFUSED = {
    ".h5": "HDF5 of older versions of Keras",
    ".hdf5": "HDF5 of older versions of Keras",
    ".pkl": "a pickle, which runs code when it is loaded",
    ".pickle": "a pickle, which runs code when it is loaded",
    ".joblib": "a pickle, which runs code when it is loaded",
    ".pt": "a pickle of another framework",
    ".pth": "a pickle of another framework",
    ".tflite": "a model of TensorFlow Lite",
    ".onnx": "a model of another framework",
}
_WAY_OUT = "save it with `model.save('model.keras')` or `model.export(folder)`"


def open_model(
    model: Any,
    first_inputs: Callable[[], Any] | None = None,
    *,
    beside: Any = None,
    signature: str | None = None,
    from_logits: bool | None = None,
) -> AskedModel:
    """Opens a model.

    Args:
      model: A Keras model in memory, a method of one, another function from a batch to
        probabilities, a `.keras` file or the folder of a SavedModel.
      first_inputs: Returns a few real inputs; needed for models in memory and
        functions. Those of files know what they take.
      beside: The Keras model, or its `.keras` file, that a SavedModel was exported
        from: it can be asked in training mode.
      signature: Signature of a SavedModel to ask; by default `serving_default`.
      from_logits: Whether outputs are logits, of which probabilities are made; by
        default they are taken for what they are.

    Raises:
      InputError: If it is none of these, or cannot be used; names the way out.
    """
    opened = _open(model, first_inputs, signature, bool(from_logits))
    if beside is None:
        return opened
    if not isinstance(opened, SavedModel):
        raise InputError(
            f"keras_model: expected it beside a SavedModel only, but the model is "
            f"{_named(model)}, which can be asked in training mode by itself; leave it "
            "out"
        )
    lender = _open(beside, first_inputs, None, bool(from_logits))
    if not isinstance(lender, KerasModel):
        raise InputError(
            f"keras_model: expected a Keras model or a `.keras` file, but got "
            f"{_named(beside)}; give what the SavedModel was exported from"
        )
    if lender.spec.num_classes != opened.spec.num_classes:
        raise InputError(
            f"keras_model: expected the {opened.spec.num_classes} classes of the "
            f"SavedModel, but {_named(beside)} answers {lender.spec.num_classes}; give "
            "what the SavedModel was exported from"
        )
    return PairedModel(opened, lender)


def _open(
    model: Any,
    first_inputs: Callable[[], Any] | None,
    signature: str | None,
    from_logits: bool,
) -> AskedModel:
    if isinstance(model, str | os.PathLike):
        return _open_path(Path(model), signature, from_logits)
    if signature is not None:
        raise InputError(
            f"signature: expected it with a SavedModel only, but the model is "
            f"{_named(model)}; leave it out"
        )
    # `judge(model.predict, ...)` means the model.
    owner = getattr(model, "__self__", None)
    model = owner if isinstance(owner, keras.Model) else model
    if first_inputs is None or not (isinstance(model, keras.Model) or callable(model)):
        raise InputError(
            "model: expected a keras.Model (of Keras 3), a path or a function from a "
            f"batch to probabilities, but got {_named(model)}; give one of these"
        )
    if isinstance(model, keras.Model):
        return KerasModel(
            model,
            first_inputs(),
            where=f"model {model.name!r}",
            from_logits=from_logits,
        )
    return FunctionModel(model, first_inputs(), from_logits=from_logits)


def _open_path(path: Path, signature: str | None, from_logits: bool) -> AskedModel:
    ending = path.suffix.lower()
    if ending in _REFUSED and not path.is_dir():
        raise InputError(
            f"{path}: expected a `.keras` file or the folder of a SavedModel, but a "
            f"file ending in {ending!r} is {_REFUSED[ending]}; {_WAY_OUT}"
        )
    if ending != keras_files.ENDING or path.is_dir():
        return SavedModel(path, signature=signature, from_logits=from_logits)
    if signature is not None:
        raise InputError(
            f"signature: expected it with a SavedModel only, but {path} is a `.keras` "
            "file, which has none; leave it out"
        )
    model = keras_files.load(path)
    return KerasModel(model, _blank(model), where=str(path), from_logits=from_logits)


def _blank(model: keras.Model) -> Any:
    """Returns one row of nothing, in the form that a model wants."""

    def blank(shape: tuple[int | None, ...], dtype: str) -> np.ndarray:
        # Sizes that may vary must be large enough for convolutions and pooling.
        sizes = (1, *(32 if size is None else size for size in shape))
        return (
            np.full(sizes, "", object) if dtype == "string" else np.zeros(sizes, dtype)
        )

    return {spec.name: blank(spec.shape, spec.dtype) for spec in input_specs(model)}


def _named(model: Any) -> str:
    if isinstance(model, str | os.PathLike):
        return str(model)
    return f"a {type(model).__module__}.{type(model).__qualname__}"
