# SPDX-License-Identifier: Apache-2.0
"""What the leakage validator looks for, and what it lets pass."""

from typing import Annotated

import pydantic

from components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, pydantic.Field(min_length=1)]
Tolerance = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


class LeakageConfig(Settings):
    """The limits of the leakage validator; the defaults suit most problems."""

    ignore: tuple[Name, ...] = ()
    """Features that are no content, such as ids, paths and time stamps: two
    examples that differ in nothing else are duplicates. Their values name the
    rows in the evidence. None by default: a duplicate with an id of its own is
    missed until the id is named here. `group` and `time` are no content either."""
    image: Name | None = None
    """The feature with encoded images. Their content is their decoded pixels, so
    that a picture stored as PNG equals itself stored as BMP. None, every feature
    whose bytes begin like an image file is tried, and counts as it is stored if it
    cannot be decoded."""
    group: Name | None = None
    """The feature that names the group of an example (patient, user, scene), which
    must not be in the reference split and in another; None, there are no groups."""
    time: Name | None = None
    """The feature that says when an example came to be: a number of whatever unit, or
    an ISO 8601 text, which counts as UTC where it names no zone. None, time does not
    matter."""
    reference_split: Name = "train"
    """The split that the model learns from; each other split is held against it."""
    max_duplicate_share: Share = 0.0
    """Largest allowed share of a split's examples whose content also stands in the
    reference split. 0, any shared example blocks: CIFAR-10's 3.3 % move its test
    error by a tenth (Barz and Denzler, 2020), and deepchecks' 5 % would pass them."""
    near_duplicates: bool = True
    """Whether to look for near-duplicates of images and of numeric rows."""
    max_near_duplicate_share: Share = 0.01
    """Largest allowed share of a split's examples that have a near-duplicate, but no
    duplicate, in the reference split. 1 %: CIFAR-10 has 3.3 % and must not pass."""
    mirrored: bool = False
    """Whether a picture and its mirror image are near-duplicates. Not by default:
    in digits, letters or road signs they are different things."""
    relative_tolerance: Tolerance = 1e-3
    """How far two numeric rows may differ in each feature to be near-duplicates, in
    standard deviations of the feature in the reference split."""
    tolerances: dict[Name, Tolerance] = {}
    """How far they may differ in the features named here, in the feature's unit."""
    max_group_share: Share = 0.0
    """Largest allowed share of a split's examples whose group is also in the
    reference split."""
    max_older_share: Share = 0.0
    """Largest allowed share of a split's examples that are older than the newest
    example of the reference split."""
    suspicious_power: Share = 0.8
    """Predictive power of a single feature (0 the class prior, 1 always right) that
    warns; deepchecks' limit on its predictive power score."""
    max_power: Share = 0.95
    """Predictive power of a single feature that blocks, if the lower end of its 95 %
    interval is above it."""
    expected_predictors: tuple[Name, ...] = ()
    """Features that may tell the label alone, because you know them to be fair."""
    max_conflict_share: Share | None = None
    """Largest allowed share of all examples whose content carries several labels;
    a greater one blocks. None, conflicts only warn: where few distinct rows are
    possible, equal rows with different outcomes are honest noise, not mistakes."""
    max_unreadable_share: Share = 0.01
    """Largest share of a split's records that may be no tf.train.Example, or hold an
    image that cannot be decoded; they are left out, counted and reported. A greater
    share is an error, which names the first of them. Of examples without a group, or
    without a time, a greater share blocks."""
    quarantine: bool = False
    """Whether to write the examples again, as output `examples`, without those of
    other splits that are duplicates, near-duplicates, of a group of the reference
    split, or too old, so that an honest evaluation can go on."""
    sample_size: Annotated[int, pydantic.Field(ge=100, le=1_000_000)] = 20_000
    """Examples of the reference split that predictive power is measured on, drawn
    by a hash of their content."""
    max_evidence: Annotated[int, pydantic.Field(ge=0, le=1000)] = 10
    """Groups listed per finding, the largest first, with up to three rows and small
    pictures per split; 0 lists none, for data that must not reach a report."""

    @property
    def no_content(self) -> tuple[str, ...]:
        """Features that are no content: the ignored ones, the group and the time."""
        named = (*self.ignore, self.group, self.time)
        return tuple(dict.fromkeys(name for name in named if name))

    @pydantic.model_validator(mode="after")
    def _image_is_content(self) -> "LeakageConfig":
        if self.image in self.no_content:
            raise ValueError(
                f"`image` must be content, but {self.image!r} is also named as "
                "`ignore`, `group` or `time`; name it once"
            )
        return self
