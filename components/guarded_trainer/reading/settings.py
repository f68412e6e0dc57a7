# SPDX-License-Identifier: Apache-2.0
"""How much memory and disk reading the training data may take."""

import pydantic

from components.settings import Settings


class ReadingConfig(Settings):
    """How much memory and disk reading the training data may take."""

    memory_bytes: int = pydantic.Field(default=1 << 30, ge=1 << 16)
    """Host memory, in bytes, for the training split. A split whose decoded inputs take
    no more is kept decoded and shuffled there. A larger one is shuffled on disk, and
    decoded anew in each epoch. The default of 1 GiB leaves a machine of 4 GiB room
    for the rest of the training."""
    spill_dir: str | None = None
    """Folder in which a split that does not fit into memory is shuffled; it takes as
    much room as the split does uncompressed, and is left empty. By default that for
    temporary files."""
