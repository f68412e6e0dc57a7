# SPDX-License-Identifier: Apache-2.0
"""What was read and what was not; and whether that will do."""

from collections.abc import Iterable, Sequence

from components.errors import InputError
from components.image_example_gen.config import ImageExampleGenConfig
from components.settings import Settings

FILE = "image_example_gen.json"
"""Name of the summary beside the splits of the examples."""
MAX_NAMED = 20
"""Files that are named of each kind; all are counted."""

Counted = tuple[int, Sequence[str]]
"""How often something happened, and the first names that it happened to."""
Fact = tuple[Sequence[str], Counted]
"""What happened, and its details, and how often to what: of
`example` with split and class, `rewritten` with the reason, and, without details, the
fields of `Summary`."""


class Tally:
    """Counts what happens, and keeps the first names, in bounded memory."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], int] = {}
        self._names: dict[tuple[str, ...], list[str]] = {}

    def add(self, name: str, *kind: str) -> None:
        """Notes that something of a kind happened to what has this name."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        names = self._names.setdefault(kind, [])
        names.append(name)
        if len(names) > 100 * MAX_NAMED:
            self._names[kind] = sorted(names)[:MAX_NAMED]

    def facts(self) -> list[Fact]:
        """Returns all that was noted."""
        return [
            (kind, (count, sorted(self._names[kind])[:MAX_NAMED]))
            for kind, count in self._counts.items()
        ]


def merge_counts(counts: Iterable[Counted]) -> Counted:
    """Merges counts and first names of the same kind; (0, []) if there are none."""
    counts = list(counts)
    names = sorted(name for _, names in counts for name in names)
    return sum(count for count, _ in counts), names[:MAX_NAMED]


class Named(Settings):
    """How many there are, and what some are called."""

    count: int = 0
    """All of them."""
    first: tuple[str, ...] = ()
    """The first by name, at most `MAX_NAMED`, with the reason where there is one."""

    def __str__(self) -> str:
        """Returns the count and the first three."""
        more = ", ..." if self.count > len(self.first[:3]) else ""
        named = f": {', '.join(self.first[:3])}{more}" if self.first else ""
        return f"{self.count}{named}"


class Summary(Settings):
    """What `ImageExampleGen` made of a folder."""

    examples: dict[str, dict[str, int]]
    """Examples by split and class; all splits and classes that have a folder."""
    rewritten: dict[str, Named] = {}
    """Pictures that were rewritten as PNG, by reason."""
    animated: Named = Named()
    """Pictures of which only the first frame counts."""
    undecodable: Named = Named()
    """Pictures that were skipped, with the reason."""
    unmatched_pictures: Named = Named()
    """Pictures without a row in the metadata."""
    unmatched_rows: Named = Named()
    """Rows of the metadata without a picture."""
    repeated_rows: Named = Named()
    """Pictures that more than one row is about."""
    ambiguous_rows: Named = Named()
    """File names in the metadata that several pictures have."""
    other_files: Named = Named()
    """Files and folders that are no pictures by their names."""
    hidden: Named = Named()
    """Files and folders that are hidden."""
    repeated_folders: Named = Named()
    """Links to folders that were read under another path; perhaps loops."""

    @property
    def num_examples(self) -> int:
        """Examples in all splits."""
        return sum(sum(labels.values()) for labels in self.examples.values())

    @property
    def num_pictures(self) -> int:
        """Pictures found, decodable or not."""
        return self.num_examples + self.undecodable.count

    @property
    def is_lossy(self) -> bool:
        """Whether anything that is not hidden was left out."""
        lost = (
            self.undecodable,
            self.unmatched_pictures,
            self.unmatched_rows,
            self.other_files,
            self.repeated_folders,
        )
        return any(each.count for each in lost)

    def with_facts(self, facts: Iterable[Fact]) -> "Summary":
        """Returns this summary with what was noted; examples are counted anew."""
        examples = {s: dict.fromkeys(labels, 0) for s, labels in self.examples.items()}
        rewritten, fields = {}, {}
        for (kind, *details), (count, first) in sorted(facts):
            named = Named(count=count, first=tuple(first))
            if kind == "example":
                split, label = details
                examples[split][label] = count
            elif kind == "rewritten":
                rewritten[details[0]] = named
            else:
                fields[kind] = named
        return Summary.model_validate(
            {**dict(self), "examples": examples, "rewritten": rewritten, **fields}
        )

    def __str__(self) -> str:
        """Returns all that a reader of the log should know, in one line."""
        splits = ", ".join(f"{s} {sum(n.values())}" for s, n in self.examples.items())
        parts = [f"{self.num_examples} examples ({splits})"]
        parts += [
            f"rewritten as PNG ({reason}) {named}"
            for reason, named in self.rewritten.items()
        ]
        parts += [
            f"{name.replace('_', ' ')} {named}"
            for name, named in self
            if isinstance(named, Named) and named.count
        ]
        return "; ".join(parts)


def require_usable(summary: Summary, base: str, config: ImageExampleGenConfig) -> None:
    """Refuses examples that are not what the folder promised.

    Args:
      summary: What was read.
      base: The base folder, for the messages.
      config: The limits.

    Raises:
      InputError: If rows and pictures do not match, too many pictures cannot be
        decoded, or a split or a class is without any example.
    """
    _require_matches(summary, config)
    undecodable, pictures = summary.undecodable, summary.num_pictures
    if undecodable.count > config.max_undecodable_share * pictures:
        raise InputError(
            f"{base}: expected at most {config.max_undecodable_share:.4g} of the "
            f"pictures to be undecodable, but {undecodable.count} of {pictures} are: "
            f"{', '.join(undecodable.first[:5])}{', ...' * (undecodable.count > 5)}; "
            "mend or remove them, or raise `max_undecodable_share`"
        )
    for split, labels in summary.examples.items():
        if not sum(labels.values()):
            raise InputError(
                f"{base}: expected pictures in split {split!r}, but there are none; "
                "add them, or remove its folder"
            )
    totals: dict[str, int] = {}
    for labels in summary.examples.values():
        for label, count in labels.items():
            totals[label] = totals.get(label, 0) + count
    empty = sorted(label for label, count in totals.items() if not count)
    if empty:
        raise InputError(
            f"{base}: expected pictures of every class that has a folder, but there "
            f"are none of {', '.join(map(repr, empty[:5]))}{', ...' * (len(empty) > 5)}"
            "; add them, or remove the folder"
        )


def _require_matches(summary: Summary, config: ImageExampleGenConfig) -> None:
    file = config.metadata
    if summary.ambiguous_rows.count:
        raise InputError(
            f"{file}: expected file names that one picture each has, but several have "
            f"{summary.ambiguous_rows}; write paths relative to the base folder"
        )
    if summary.repeated_rows.count:
        raise InputError(
            f"{file}: expected one row per picture, but there are several for "
            f"{summary.repeated_rows}; drop all but one"
        )
    if config.on_unmatched == "ignore":
        return
    if summary.unmatched_pictures.count:
        raise InputError(
            f"{file}: expected a row for every picture, but there is none for "
            f"{summary.unmatched_pictures}; add the rows, or set `on_unmatched` to "
            "'ignore'"
        )
    if summary.unmatched_rows.count:
        raise InputError(
            f"{file}: expected a picture for every row, but there is none for "
            f"{summary.unmatched_rows}; drop the rows, correct the paths, or set "
            "`on_unmatched` to 'ignore'"
        )
