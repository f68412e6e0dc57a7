# SPDX-License-Identifier: Apache-2.0
"""Executes a user's file in place, with the files beside it within its reach."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_folders: set[Path] = set()
"""Folders of the files that were executed; a module's folder is not among them."""
_neighbours: set[str] = set()
"""Names of modules that were imported from beside the last such file."""


def execute(path: Path) -> ModuleType:
    """Executes a user's file from its own path, and returns it as a module.

    Raises:
      Exception: Whatever the file raises.
    """
    # The name must not collide with a real module, and must differ between
    # files, since pickling looks functions up by module name.
    name = f"_guarded_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path} as Python source")
    module = importlib.util.module_from_spec(spec)
    # Another file, or this one after a change, must not get the modules that lay
    # beside the last one.
    for neighbour in _neighbours:
        sys.modules.pop(neighbour, None)
    _neighbours.clear()
    importlib.invalidate_caches()
    _folders.add(path.parent)
    sys.modules[name] = module
    try:
        with importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def importable_neighbours(path: Path) -> AbstractContextManager[None]:
    """Lets a function of a file that was executed import the file's neighbours."""
    return importable(path.parent) if path.parent in _folders else nullcontext()


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Lets a file import its neighbours, as it could when run as a script."""
    if str(folder) in sys.path:
        yield
        return
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        new = set(sys.modules) - before
        beside = {name for name in new if _only_lies_in(folder, name)}
        _neighbours.update(name for name in new if name.partition(".")[0] in beside)


def _only_lies_in(folder: Path, name: str) -> bool:
    """Returns whether a module could be imported from the folder alone."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or _home(spec) != folder:
        return False
    elsewhere = (finder.find_spec(name, None) for finder in sys.meta_path)
    other = next(filter(None, elsewhere), None)
    return other is None or _home(other) != folder


def _home(spec: ModuleSpec) -> Path | None:
    """Returns the folder that a top-level module or package stands in."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.origin else None
