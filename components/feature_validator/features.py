# SPDX-License-Identifier: Apache-2.0
"""What is known of each feature of a split, without a look at the examples."""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Numbers:
    """The values of a numeric feature.

    A feature with several values per example has them all in one pool.

    Attributes:
      count: Values, NaN and infinity included.
      mean: Mean without NaN; not finite if a value is infinite.
      std: Standard deviation without NaN.
      minimum: Smallest value without NaN.
      maximum: Largest value without NaN.
      num_zeros: Values that are 0.
      num_nan: Values that are NaN.
      num_infinite: Values that are infinite.
      knots: Values at which the distribution function is known, shape (m,), each
        twice: with its left limit and with its value. Ascending; empty if there are
        no values, or infinite ones.
      shares: Share of values up to each knot, shape (m,), from 0 to 1.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    num_zeros: int = 0
    num_nan: int = 0
    num_infinite: int = 0
    knots: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    shares: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def is_comparable(self) -> bool:
        """Whether the distribution is known."""
        return len(self.knots) > 0

    @property
    def rms(self) -> float:
        """Root mean square."""
        return float(np.hypot(self.mean, self.std))

    def cdf(self, points: np.ndarray) -> np.ndarray:
        """Returns the share of values up to each point, interpolated between knots.

        Args:
          points: Shape (n,).

        Returns:
          Shape (n,).
        """
        return np.interp(points, self.knots, self.shares, left=0.0, right=1.0)

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """Returns the values below which the given shares lie, interpolated.

        Args:
          shares: Shape (n,).

        Returns:
          Shape (n,).
        """
        return np.interp(shares, self.shares, self.knots)


@dataclasses.dataclass(frozen=True)
class Texts:
    """The values of a text feature, or of an integer feature that is a category.

    Attributes:
      counts: How often the most frequent values occur.
      num_distinct: Distinct values.
      is_readable: Whether the values are texts rather than other bytes.
    """

    counts: Mapping[str, int]
    num_distinct: int
    is_readable: bool = True


@dataclasses.dataclass(frozen=True)
class FeatureStatistics:
    """One feature of one split.

    Attributes:
      name: Name of the feature.
      kind: TFDV's name of the data type, such as `FLOAT`.
      num_examples: Examples of the split, with or without the feature.
      num_present: Examples that have at least one value; where some examples have
        none and others several, those in which the feature is not missing.
      num_values: Values in all examples.
      min_values: Fewest values of an example that has the feature.
      max_values: Most values of an example.
      numbers: The values, if they are numbers.
      texts: The values, if they are texts or categories.
    """

    name: str
    kind: str
    num_examples: int
    num_present: int
    num_values: int
    min_values: int = 1
    max_values: int = 1
    numbers: Numbers | None = None
    texts: Texts | None = None

    @property
    def num_missing(self) -> int:
        """Examples without a value."""
        return self.num_examples - self.num_present


@dataclasses.dataclass(frozen=True)
class SplitStatistics:
    """The features of one split.

    Attributes:
      split: Name of the split.
      num_examples: Examples in the split.
      features: Features by name.
    """

    split: str
    num_examples: int
    features: Mapping[str, FeatureStatistics]


@dataclasses.dataclass(frozen=True)
class SchemaAnomaly:
    """What ExampleValidator found in one split.

    Attributes:
      split: Name of the split.
      feature: Name of the feature; None for the data set.
      types: TFDV's names of the reasons, such as `UNEXPECTED_DATA_TYPE`.
      description: TFDV's own words.
      is_error: Whether it is more than a warning.
    """

    split: str
    feature: str | None
    types: tuple[str, ...]
    description: str
    is_error: bool = True


@dataclasses.dataclass(frozen=True)
class DataStatistics:
    """The features of all splits, and what ExampleValidator found in them.

    Attributes:
      reference: The split that the model learns from.
      others: The other splits.
      anomalies: What ExampleValidator found; empty if it did not run.
    """

    reference: SplitStatistics
    others: tuple[SplitStatistics, ...] = ()
    anomalies: tuple[SchemaAnomaly, ...] = ()

    @property
    def splits(self) -> tuple[SplitStatistics, ...]:
        """All splits, the reference first."""
        return (self.reference, *self.others)
