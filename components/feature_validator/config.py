# SPDX-License-Identifier: Apache-2.0
"""What the feature validator holds the features to."""

from typing import Annotated

import pydantic

from components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, pydantic.Field(min_length=1)]


class FeatureConfig(Settings):
    """Which features are judged, and the limits; the defaults suit most problems."""

    label_key: Name | None = None
    """The label. It is no input of the model, so only what ExampleValidator says of it
    counts; the rest is up to the ClassBalanceValidator."""
    features: tuple[Name, ...] | None = None
    """The features that the model is given; None, all but those named in `ignore`."""
    ignore: tuple[Name, ...] = ()
    """Features that the model is not given, such as ids, paths and time stamps."""
    image: Name | None = None
    """The feature with encoded images; its bytes are not judged as a text. Bytes that
    are no UTF-8 never are."""
    reference_split: Name = "train"
    """The split that the model learns from; each other split is held against it."""
    exclude_splits: tuple[Name, ...] = ()
    """Splits that are not looked at."""

    max_missing_share: Share = 0.0
    """Largest share of a split's examples in which a feature may have no value; more
    block. 0, because the trainer reads each value of each example."""

    max_value_share: Share = 0.999
    """Share of the most frequent value from which on a feature of the reference split
    is nearly constant; it warns. With the other value in one example of a thousand, an
    epoch of batches of 32 shows it to the model once in 31 batches."""
    min_relative_spread: Annotated[
        float, pydantic.Field(ge=0, lt=1, allow_inf_nan=False)
    ] = 1e-6
    """Standard deviation relative to the mean below which numbers are nearly constant;
    it warns. 1e-6 is 8 steps of a 32-bit float: what the model sees is rounding."""
    max_scale: Annotated[float, pydantic.Field(gt=1, allow_inf_nan=False)] = 100.0
    """Largest factor between a feature's size and 1; beyond it warns. Too large is a
    root mean square above it, too small a largest absolute value below its inverse.

    Initializers (Glorot and Bengio 2010, He et al. 2015) suppose inputs of about unit
    variance. The gradient of a first layer's weights grows with the input, so a
    feature a hundred times larger than others gets a hundred times their steps. 100 is
    our choice: raw pixels (0 to 255) are beyond it, years of age are not.
    """

    max_distance: Share = 0.2
    """Largest distance between the distributions of a numeric feature in two splits,
    as Kolmogorov and Smirnov measure it: the greatest difference between the shares of
    values below any point. More warns, if it is significant; 0.2 is deepchecks' limit
    of feature drift."""
    gross_distance: Share = 0.8
    """Distance from which on a shift blocks whatever its form: at some point, the
    shares below differ by 80 %. Two normal distributions 2.6 standard deviations
    apart are at the limit; drift of honest data hardly reaches it."""
    min_scale_factor: Annotated[float, pydantic.Field(gt=1, allow_inf_nan=False)] = 2.0
    """Factor between the spreads of a feature in two splits from which on an otherwise
    equal distribution counts as scaled in one split only, which blocks. Units of
    measurement differ by more (pounds 2.2, inches 2.54, feet 3.3, and powers of ten),
    but for miles (1.6) and Fahrenheit (1.8), which are then a shift."""
    max_unseen_share: Share = 0.01
    """Largest share of a split's texts that do not occur in the reference split,
    beyond what its rare texts let expect; more warns, if it is significant."""
    gross_unseen_share: Share = 0.5
    """Such share from which on it blocks: most texts are then spelt unlike those that
    the model learns from, as by another encoding or another column."""
    significance: Annotated[float, pydantic.Field(gt=0, lt=1, allow_inf_nan=False)] = (
        0.001
    )
    """Chance of any finding of skew between two splits that were drawn alike; shared
    out among features and splits (Bonferroni)."""

    @pydantic.model_validator(mode="after")
    def _inputs_are_not_ignored(self) -> "FeatureConfig":
        both = sorted(set(self.features or ()) & set(self.ignore))
        if both:
            raise ValueError(
                f"`features` and `ignore` both name {both}; name each once"
            )
        if self.reference_split in self.exclude_splits:
            raise ValueError(
                "`exclude_splits` must not name the reference split, but holds "
                f"{self.reference_split!r}; the others are held against it"
            )
        return self

    def is_judged(self, feature: str) -> bool:
        """Whether a feature is an input of the model."""
        if feature == self.label_key or feature in self.ignore:
            return False
        return self.features is None or feature in self.features
