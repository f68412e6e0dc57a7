# SPDX-License-Identifier: Apache-2.0
"""Cuts scikit-learn's two photographs into small pictures, and leaks some of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_HEIGHT, _WIDTH = 42, 40  # Of a small picture, in pixels.
_EVAL_SHARE = 0.3
_NUM_LEAKED = 24


def write_data(folder: Path) -> None:
    """Writes `train/CLASS/*.png` and `eval/CLASS/*`: small pictures of two classes.

    24 of the training pictures are in `eval` once more: stored as BMP, or saved as
    JPEG, brightened, trimmed or turned a little, as it happens when pictures from
    several exports are thrown together before they are split.

    Args:
      folder: Made if need be; existing files are replaced.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_image

    random = np.random.default_rng(0)
    train: list[tuple[str, Image.Image]] = []
    for label in ("china", "flower"):
        photo = Image.fromarray(load_sample_image(f"{label}.jpg"))
        pictures = [
            photo.crop((left, top, left + _WIDTH, top + _HEIGHT))
            for top in range(0, photo.height - _HEIGHT + 1, _HEIGHT)
            for left in range(0, photo.width - _WIDTH + 1, _WIDTH)
        ]
        pictures = [pictures[i] for i in random.permutation(len(pictures))]
        num_eval = round(_EVAL_SHARE * len(pictures))
        for split in ("train", "eval"):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures[:num_eval]):
            picture.save(folder / "eval" / label / f"{i:03}.png")
        for i, picture in enumerate(pictures[num_eval:]):
            picture.save(folder / "train" / label / f"{i:03}.png")
            train.append((label, picture))
    # Pictures with something on them; a piece of plain sky equals the next one.
    train.sort(key=lambda item: -float(np.asarray(item[1].convert("L")).std()))
    for i, (label, picture) in enumerate(train[:_NUM_LEAKED]):
        _save_altered(picture, folder / "eval" / label / f"copy_{i:02}", i % 5)


def _save_altered(picture: "Image.Image", path: Path, how: int) -> None:
    from PIL import Image, ImageEnhance

    if how == 0:
        picture.save(path.with_suffix(".bmp"))
    elif how == 1:
        picture.save(path.with_suffix(".jpg"), quality=60)
    elif how == 2:
        ImageEnhance.Brightness(picture).enhance(1.2).save(path.with_suffix(".png"))
    elif how == 3:
        width, height = picture.size
        picture.crop((2, 2, width, height)).save(path.with_suffix(".png"))
    else:
        picture.rotate(4, resample=Image.Resampling.BICUBIC).save(
            path.with_suffix(".png")
        )
