# SPDX-License-Identifier: Apache-2.0
"""Prints the SHA-256 of everything in pyproject.toml that decides the lock.

`make lock` records it beside the lock; a test compares, so that a dependency
changed without `make lock` is noticed without a network. Comments and the
order of keys do not count.
"""

import hashlib
import json
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))
project = settings["project"]
inputs = {
    "requires-python": project["requires-python"],
    "dependencies": project["dependencies"],
    "optional-dependencies": project.get("optional-dependencies", {}),
    "dependency-groups": settings["dependency-groups"],
    "uv": settings.get("tool", {}).get("uv", {}),
}
print(hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest())
