# SPDX-License-Identifier: Apache-2.0
"""Ways to spoil files, as functions of the bench."""

import contextlib
import ctypes
import json
import os
import struct


def remove(path):
    return lambda bench: bench.remove(path)


def cut(path):
    """Cuts a file off in the middle."""

    def inject(bench):
        content = (bench.root / path).read_bytes()
        (bench.root / path).write_bytes(content[: len(content) // 2])

    return inject


def flip(path):
    """Changes one byte in the middle of a file; its size stays."""

    def inject(bench):
        content = bytearray((bench.root / path).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (bench.root / path).write_bytes(content)

    return inject


def overwrite(path, content=b"\xff\xfe\x00garbage"):
    def inject(bench):
        (bench.root / path).parent.mkdir(parents=True, exist_ok=True)
        (bench.root / path).write_bytes(content)

    return inject


def make_folder(path):
    """Puts a folder where a file was."""

    def inject(bench):
        bench.remove(path)
        (bench.root / path).mkdir(parents=True)

    return inject


def rename(path, to):
    return lambda bench: (bench.root / path).rename(bench.root / to)


def link(path, to):
    """Puts a symbolic link in the place of a file, to what it was."""

    def inject(bench):
        (bench.root / path).rename(bench.root / to)
        (bench.root / path).symlink_to(bench.root / to)

    return inject


def edit(path, **changes):
    """Changes fields of a JSON file; None takes one away."""

    def inject(bench):
        content = json.loads((bench.root / path).read_text()) | changes
        content = {key: value for key, value in content.items() if value is not None}
        (bench.root / path).write_text(json.dumps(content))

    return inject


def forbid(path):
    """Takes all permissions off a file, also those that root has anyway."""

    def inject(bench):
        (bench.root / path).chmod(0)
        bench.enter_context(obeying_permissions())

    return inject


_CAPABILITIES = struct.Struct("=Ii"), struct.Struct("=6I")
_VERSION_3 = 0x20080522
_IGNORE_PERMISSIONS = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.


@contextlib.contextmanager
def obeying_permissions():
    """Takes from root, for a while and in this thread, what lets it read everything."""
    if os.geteuid() != 0:
        yield
        return
    before = _capabilities()
    _set_capabilities((before[0] & ~_IGNORE_PERMISSIONS, *before[1:]))
    try:
        yield
    finally:
        _set_capabilities(before)


def _capabilities():
    header, data = (ctypes.create_string_buffer(s.size) for s in _CAPABILITIES)
    _CAPABILITIES[0].pack_into(header, 0, _VERSION_3, 0)
    if ctypes.CDLL(None, use_errno=True).capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    return _CAPABILITIES[1].unpack(data.raw)


def _set_capabilities(values):
    header = ctypes.create_string_buffer(_CAPABILITIES[0].pack(_VERSION_3, 0))
    data = ctypes.create_string_buffer(_CAPABILITIES[1].pack(*values))
    if ctypes.CDLL(None, use_errno=True).capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")
