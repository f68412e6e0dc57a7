# SPDX-License-Identifier: Apache-2.0
"""Pushes to disks that are too small, each a little larger than the one before.

Needs to mount: `unshare -Urm python full_disk.py FOLDER`; prints JSON.
"""

import json
import subprocess
import sys
from pathlib import Path

from interrupted import World

from components import registry

_PAGE = 4096


def push_to_disk_of(num_pages, root):
    """Pushes a, then b; returns whether both found room, and what is served."""
    world = World(root, num_shards=6)
    world.destination.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={num_pages * _PAGE}", "tmpfs"]
        + [str(world.destination)],
        check=True,
    )
    try:
        for name in "ab":
            try:
                world.push(name)
            except OSError:
                left = [path.name for path in world.destination.glob(".staging-*")]
                assert not left, left
                return False, world.served()
            except registry.ModelChangedError as error:
                raise AssertionError("a part of the model was copied") from error
        return True, world.served()
    finally:
        subprocess.run(["umount", str(world.destination)], check=True)


def main(root):
    found, problems = [], []
    for num_pages in range(1, 40):
        fits, served = push_to_disk_of(num_pages, root)
        if served != ["a", "b"][: len(served)] or fits != (len(served) == 2):
            problems.append(f"{num_pages} pages: {served}")
        found.append(len(served))
    return {"served": found, "problems": problems}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
