# SPDX-License-Identifier: Apache-2.0
"""What one pass over the examples counts."""

from components.settings import Settings


class Group(Settings):
    """Examples of equal content: how many, never which."""

    fingerprint: str
    """Hexadecimal digits of the content's fingerprint."""
    examples: dict[str, int]
    """Examples by split."""
    num_labels: int
    """Different labels, over all splits."""
    labels: dict[str, dict[str, int]]
    """By split, examples by label: of up to 10 labels, the most frequent first."""
    rows: dict[str, tuple[str, ...]] = {}
    """By split, up to 3 texts that help to find the rows."""

    @property
    def order(self) -> tuple[int, str]:
        """Sorts the largest group first; the fingerprint decides between equals."""
        return (-sum(self.examples.values()), self.fingerprint)


class SplitCounts(Settings):
    """What was counted in one split."""

    examples: int = 0
    """Examples that could be read."""
    contents: int = 0
    """Different contents among them."""
    shared_examples: int = 0
    """Examples whose content also stands in the reference split; 0 for that split."""
    shared_contents: int = 0
    """Different contents among the shared examples."""
    conflicting_examples: int = 0
    """Examples whose content carries several labels in the data at large."""
    unreadable: int = 0
    """Records that are no tf.train.Example."""
    float_labels: int = 0
    """Examples whose label is a float."""
    without_content: int = 0
    """Examples without any feature but the label and the ignored ones."""
    missing: dict[str, int] = {}
    """Examples without a value, by feature: the label and the ignored features;
    left out where each example has one."""


class Summary(Settings):
    """Everything one pass over the examples has counted."""

    splits: dict[str, SplitCounts]
    """Counts by split; every split has an entry."""
    shared: dict[str, tuple[Group, ...]] = {}
    """By split, the largest groups that it shares with the reference split."""
    conflicting: tuple[Group, ...] = ()
    """The largest groups with several labels."""
    conflicting_contents: int = 0
    """Groups with several labels."""
    outvoted_examples: int = 0
    """Examples whose label is not the most frequent one of their content."""
    feature_names: tuple[str, ...] = ()
    """Features of examples that lack the label or an ignored feature."""

    @property
    def num_examples(self) -> int:
        """Examples that could be read, over all splits."""
        return sum(counts.examples for counts in self.splits.values())
