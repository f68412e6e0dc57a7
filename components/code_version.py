# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of this project's own code.

TFX's cache compares inputs and execution properties, and cannot see that a check has
changed: after an upgrade it would go on serving the verdicts of the old one. So the
fingerprint is an execution property of every component.
"""

import functools
import hashlib
from pathlib import Path


@functools.cache
def code_sha256() -> str:
    """Returns the SHA-256 over names and contents of all files of `components`.

    Documentation and compiled files do not count.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in (".md", ".pyc"):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
