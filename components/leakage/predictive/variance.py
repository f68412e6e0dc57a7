# SPDX-License-Identifier: Apache-2.0
"""Whether the pictures differ: from one another, and from class to class.

Looked at is a reduction to 16 x 16 grey values, so that noise does not count for
variety. All that is kept of the pictures are sums of integers by class and pixel.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from components.causes import Severity
from components.findings import Finding, Subject, find

CHECK = "LeakageValidator"
SIDE = 16
"""Pixels of a side of the reduced picture."""
MIN_DEVIATION = 0.01
"""Smallest standard deviation of a pixel from picture to picture, in shares of the
grey range, root mean square over the pixels. 0.01 is 2.6 of 256 grey values: what
JPEG and a sensor's noise leave of a picture that is stored again."""
MIN_PICTURES = 3
"""Pictures of a class that can be called all but the same."""
MIN_CLASS_SHARE = 0.001
"""Smallest share of the variance that the classes' mean pictures explain, as omega
squared (Hays 1963), which is 0 on average where the classes are drawn by lot. Chance
moves it by up to about (K - 1) / n for K classes and n pictures, so nothing is said
where that is more."""


@dataclasses.dataclass
class PictureSums:
    """Sums over the pictures of one class; shapes (16, 16), int64.

    Grey values are counted as the sum of the three colours, 0 to 765, so that they
    stay integers, each averaged over a block of pixels and rounded down.
    """

    count: int = 0
    total: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((SIDE, SIDE), np.int64)
    )
    squares: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((SIDE, SIDE), np.int64)
    )


_RANGE = 3 * 255


def add_picture(sums: PictureSums, picture: np.ndarray) -> PictureSums:
    """Adds one picture to the sums, in place.

    Args:
      sums: Sums of the picture's class.
      picture: uint8, shape (side, side, 3) or (side, side), the side a multiple of
        16, such as a descriptor of 32 x 32 pixels.
    """
    grey = reduce_picture(picture)
    sums.count += 1
    sums.total += grey
    sums.squares += grey * grey
    return sums


def merge(many: Iterable[PictureSums]) -> PictureSums:
    """Adds up sums."""
    merged = PictureSums()
    for sums in many:
        merged.count += sums.count
        merged.total = merged.total + sums.total
        merged.squares = merged.squares + sums.squares
    return merged


def reduce_picture(picture: np.ndarray) -> np.ndarray:
    """Returns 16 x 16 grey values from 0 to 765, int64.

    Raises:
      ValueError: If the sides are no multiples of 16.
    """
    grey = picture.astype(np.int64)
    grey = grey.sum(axis=2) if grey.ndim == 3 else 3 * grey
    height, width = grey.shape
    if height % SIDE or width % SIDE or not height or not width:
        raise ValueError(
            f"the sides of a picture must be multiples of {SIDE}, but are "
            f"{height} x {width} pixels; give a descriptor of a fixed size"
        )
    blocks = grey.reshape(SIDE, height // SIDE, SIDE, width // SIDE)
    return blocks.sum(axis=(1, 3)) // (height // SIDE * (width // SIDE))


def judge_variance(
    by_class: Mapping[str, PictureSums], split: str
) -> Iterator[Finding]:
    """Judges how much pictures differ; every finding warns.

    Args:
      by_class: Sums by text of the label; may be empty.
      split: Name of the split that they are from.

    Yields:
      `low_variance`: for all pictures together; or else for single classes, and for
      classes whose mean pictures do not differ.
    """
    sums = {name: each for name, each in sorted(by_class.items()) if each.count}
    whole = merge(sums.values())
    if whole.count < MIN_PICTURES:
        return
    deviation = deviation_of(whole)
    if deviation < MIN_DEVIATION:
        yield _find(
            f"The {whole.count} pictures of split {split} hardly differ: their pixels "
            f"vary by {100 * deviation:.2g} % of the grey range",
            Subject(split=split),
            deviation,
            whole.count,
        )
        return
    for name, each in sums.items():
        if each.count >= MIN_PICTURES and deviation_of(each) < MIN_DEVIATION:
            yield _find(
                f"The {each.count} pictures of class {name} in split {split} are all "
                f"but the same: their pixels vary by {100 * deviation_of(each):.2g} % "
                "of the grey range",
                Subject(split=split, class_name=name),
                deviation_of(each),
                each.count,
            )
    if len(sums) < 2 or (len(sums) - 1) / whole.count > MIN_CLASS_SHARE:
        return
    share = class_share(sums)
    if share < MIN_CLASS_SHARE:
        yield find(
            "low_variance",
            f"The classes' mean pictures in split {split} hardly differ: they explain "
            f"{100 * max(share, 0.0):.2g} % of the variance of the {whole.count} "
            f"pictures; expected are at least {100 * MIN_CLASS_SHARE:.2g} %. This is a "
            "hint only: classes may differ in what the mean picture does not show.",
            severity=Severity.WARN,
            remedy="Check that the labels belong to the pictures, and that the classes "
            "can be told apart by eye.",
            subject=Subject(split=split),
            measured=share,
            limit=MIN_CLASS_SHARE,
            unit="share of variance",
            found_by=CHECK,
            evidence={"num_examples": whole.count},
        )


def deviation_of(sums: PictureSums) -> float:
    """Returns how much a pixel varies from picture to picture.

    Returns:
      Root mean square over the pixels of the standard deviation, as a share of the
      grey range, from 0 to 0.5; 0 for no picture.
    """
    if not sums.count:
        return 0.0
    return float(np.sqrt(_scatter(sums) / sums.count / SIDE**2)) / _RANGE


def class_share(by_class: Mapping[str, PictureSums]) -> float:
    """Returns the share of the variance that the class explains (omega squared).

    Scatter is summed over the pixels.

    Returns:
      A number up to 1; around 0, also below, where the classes do not differ; 0 where
      there is no variance, or no class of more than one picture.
    """
    whole = merge(by_class.values())
    num_classes = sum(1 for sums in by_class.values() if sums.count)
    if whole.count <= num_classes:
        return 0.0
    within = sum(_scatter(sums) for sums in by_class.values())
    total = _scatter(whole)
    noise = within / (whole.count - num_classes)
    if not total + noise:
        return 0.0
    return (total - within - (num_classes - 1) * noise) / (total + noise)


def _scatter(sums: PictureSums) -> float:
    """Returns the squared deviations from the mean picture, summed over the pixels."""
    if not sums.count:
        return 0.0
    # Python's integers, which neither overflow nor round: n * sum(x^2) - sum(x)^2.
    pairs = zip(sums.total.ravel().tolist(), sums.squares.ravel().tolist(), strict=True)
    scatter = sum(sums.count * squares - total**2 for total, squares in pairs)
    return scatter / sums.count


def _find(message: str, subject: Subject, deviation: float, count: int) -> Finding:
    return find(
        "low_variance",
        f"{message}; expected are at least {100 * MIN_DEVIATION:.2g} %.",
        severity=Severity.WARN,
        subject=subject,
        measured=deviation,
        limit=MIN_DEVIATION,
        unit="share of the grey range",
        found_by=CHECK,
        evidence={"num_examples": count},
    )
