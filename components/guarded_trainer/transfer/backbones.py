# SPDX-License-Identifier: Apache-2.0
"""The models of `keras.applications`: which there are, and what each asks for."""

import contextlib
import dataclasses
import difflib
import hashlib
import inspect
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import keras

from components.errors import InputError
from components.guarded_trainer.transfer.settings import TransferConfig

_OURS = frozenset(
    {
        "classes",
        "classifier_activation",
        "include_preprocessing",
        "include_top",
        "input_shape",
        "input_tensor",
        "name",
        "pooling",
        "weights",
        # These two shape the top, which is not used.
        "dropout",
        "dropout_rate",
    }
)
"""Arguments of a backbone that this module decides, or that have no effect."""
_DOWNLOAD_SECONDS = 60
"""Longest silence of the server; Keras itself would wait for ever."""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A model of `keras.applications`.

    Attributes:
      name: Such as `Xception`.
      construct: The function that makes it.
      preprocess: Its family's own preprocessing, from RGB pixels in [0, 255]; does
        nothing where the family has it inside the model.
    """

    name: str
    construct: Callable[..., keras.Model]
    preprocess: Callable[[Any], Any]

    @property
    def options(self) -> tuple[str, ...]:
        """The arguments that change the architecture, such as `alpha`."""
        arguments = inspect.signature(self.construct).parameters
        return tuple(name for name in arguments if name not in _OURS)

    @property
    def min_size(self) -> int:
        """Smallest height and width in pixels, as Keras itself says."""
        try:
            # Refused before the first layer is made.
            self.construct(weights=None, include_top=False, input_shape=(1, 1, 3))
        except ValueError as error:
            found = re.search(r"at least (\d+)x(\d+)", str(error))
            if found:
                return int(found[1])
        return 1

    def build(
        self, height: int, width: int, weights: str | None, options: Mapping[str, Any]
    ) -> keras.Model:
        """Builds the backbone without its top.

        Args:
          height: Of the pictures, in pixels.
          width: Of the pictures, in pixels.
          weights: `imagenet`, or None for random weights.
          options: Further arguments, of those in `options`.

        Returns:
          A model from (batch, height, width, 3), preprocessed, to a feature map.

        Raises:
          InputError: If the pictures are too small, the options do not suit, or the
            weights cannot be downloaded.
        """
        least = self.min_size
        if height < least or width < least:
            raise InputError(
                f"model.transfer.backbone: expected pictures of at least {least}x"
                f"{least} pixels for {self.name}, but they are {height}x{width}; "
                f"enlarge them (`data.image: {{height: {max(height, least)}, width: "
                f"{max(width, least)}}}`), or take another backbone"
            )
        try:
            with _bounded_wait(), warnings.catch_warnings():
                # The weights of convolutions suit every size, as of every family.
                warnings.filterwarnings("ignore", "`input_shape` is undefined or non-")
                return self.construct(
                    weights=weights,
                    include_top=False,
                    input_shape=(height, width, 3),
                    **options,
                )
        except Exception as error:
            reason = " ".join(str(error).split())[:240]
            if "URL fetch failure" in reason or isinstance(error, OSError):
                raise InputError(
                    f"model.transfer.weights: expected to download the ImageNet "
                    f"weights of {self.name}, but that failed: {reason}; put the "
                    "file into ~/.keras/models where there is a network, or give the "
                    "path of other weights under `weights`"
                ) from error
            raise InputError(
                f"model.transfer: expected what keras.applications.{self.name} can be "
                f"built with, but it says: {reason}; correct `options`, `weights` or "
                "the size of the pictures"
            ) from error


def names() -> tuple[str, ...]:
    """Returns the names of all backbones that this version of Keras offers."""
    return tuple(
        name
        for name in dir(keras.applications)
        if name[0].isupper() and callable(getattr(keras.applications, name))
    )


def find(name: str) -> Backbone:
    """Looks a backbone up by its name.

    Raises:
      InputError: If there is none, with the closest name.
    """
    known = names()
    if name not in known:
        raise InputError(
            f"model.transfer.backbone: expected a model of keras.applications, but "
            f"there is no {name!r}; {_nearest(name, known)}"
        )
    construct = getattr(keras.applications, name)
    return Backbone(name, construct, family(construct).preprocess_input)


def family(construct: Callable[..., keras.Model]) -> ModuleType:
    """Returns the module of Keras that a backbone's function is from."""
    return sys.modules[inspect.unwrap(construct).__module__]


def check(config: TransferConfig) -> Backbone:
    """Checks the names in a configuration; builds and downloads nothing.

    Raises:
      InputError: If there is no such backbone, or it has no such option.
    """
    backbone = find(config.backbone)
    for option in config.options:
        if option not in backbone.options:
            raise InputError(
                f"model.transfer.options: expected arguments of {backbone.name}, but "
                f"there is no {option!r}; {_nearest(option, backbone.options)}"
            )
    return backbone


def refuse_official_file(backbone: Backbone, path: str) -> None:
    """Refuses the ImageNet weights of an EfficientNet as a file.

    Keras gives that family one more scaling layer where `weights` is `imagenet`
    (tensorflow/tensorflow#49930), which no file of weights tells of: the base would
    be given inputs of another scale than it was trained with.

    Raises:
      InputError: If the file is one that Keras itself would download.
    """
    module = family(backbone.construct)
    if not hasattr(module, "IMAGENET_STDDEV_RGB"):
        return
    official = {md5 for pair in module.WEIGHTS_HASHES.values() for md5 in pair}
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() in official:
        raise InputError(
            f"model.transfer.weights: expected `imagenet` for the ImageNet weights of "
            f"{backbone.name}, which come with a scaling layer, but got their file "
            f"{path!r}; put it into Keras' folder, ~/.keras/models, under its own "
            "name, and write `weights: imagenet`"
        )


def _nearest(name: str, known: Sequence[str]) -> str:
    lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), list(lower), n=1)
    if near:
        return f"did you mean {lower[near[0]]!r}?"
    listed = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if known[8:] else "")
    return f"known are {listed}" if known else "leave it out"


@contextlib.contextmanager
def _bounded_wait() -> Iterator[None]:
    """Bounds how long a silent server is waited for; with no network it fails."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
