# SPDX-License-Identifier: Apache-2.0
"""Reads the groups of examples that a finding about leakage names."""

from typing import Annotated

import pydantic

from components.findings import Finding, Verdict

SAME_CONTENT = ("duplicate_leakage", "near_duplicate_leakage", "conflicting_labels")
"""Causes whose groups are examples of equal or almost equal content."""
CAUSES = (*SAME_CONTENT, "group_leakage", "temporal_leakage")
"""Causes whose evidence may list groups of examples."""
MAX_FINDINGS = 20
"""Findings that are shown with their examples."""
MAX_GROUPS = 20
"""Groups of one finding that are shown."""
MAX_SPLITS = 4
"""Splits of one group that are shown."""
MAX_PICTURES = 3
"""Pictures of one group that are shown per split."""

_Count = Annotated[int, pydantic.Field(ge=0)]


class Group(pydantic.BaseModel):
    """Examples that share their content or a group, by split."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    examples: dict[str, _Count] = {}
    """Examples by split; empty where they were not counted."""
    labels: dict[str, dict[str, _Count]] = {}
    """By split, examples by label."""
    rows: dict[str, tuple[str, ...]] = {}
    """By split, texts that help to find some of the examples."""
    pictures: dict[str, tuple[str, ...]] = {}
    """By split, names of thumbnails of some of the examples."""
    similarity: float | None = None
    """How alike the examples are, 1 for equal; None where that was not asked."""

    def splits(self, judged: str | None) -> tuple[str, ...]:
        """Returns the splits that hold any, the reference split first.

        Args:
          judged: The split that the finding is about, which comes last; None
            where it is about all of them.
        """
        held = [split for split, count in self.examples.items() if count]
        if not self.examples:
            held = list(dict.fromkeys((*self.rows, *self.pictures)))
        # The sort is stable: other splits keep the order of the evidence.
        held.sort(key=lambda split: (split == judged, split != "train"))
        if len(held) > MAX_SPLITS:
            held[MAX_SPLITS - 1 :] = held[-1:]
        return tuple(held)


def groups_of(finding: Finding) -> tuple[Group, ...]:
    """Returns the groups that are to be shown, as many as `MAX_GROUPS`.

    Returns:
      Nothing for findings of other causes, without groups, or with evidence of
      another form, which is then shown as it is.
    """
    listed = finding.evidence.get("groups")
    if finding.cause not in CAUSES or not isinstance(listed, list):
        return ()
    try:
        groups = tuple(Group.model_validate(each) for each in listed[:MAX_GROUPS])
    except pydantic.ValidationError:
        return ()
    return tuple(group for group in groups if group.splits(None))


def picture_names(verdict: Verdict) -> dict[str, int]:
    """Returns how often each thumbnail is to be shown, by its name."""
    uses: dict[str, int] = {}
    shown = [each for each in verdict.findings if groups_of(each)][:MAX_FINDINGS]
    for finding in shown:
        for group in groups_of(finding):
            for split in group.splits(finding.subject.split):
                for name in group.pictures.get(split, ())[:MAX_PICTURES]:
                    uses[name] = uses.get(name, 0) + 1
    return uses
