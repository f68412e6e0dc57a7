# SPDX-License-Identifier: Apache-2.0
"""Faults between a blessing and the folder that is served from."""

import os
import resource
import shutil
import types

from fault_rows import Fault
from spoiling import (
    cut,
    edit,
    flip,
    forbid,
    link,
    make_folder,
    obeying_permissions,
    overwrite,
    remove,
    rename,
)
from tfx.types import standard_artifacts

from components import artifact_io, registry
from components.artifact_io import CLASS_WEIGHTS_FILE
from components.digest import model_digest
from components.findings import Verdict, find
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.passport import PASSPORT_FILE
from components.registry import locking

_MODEL = "model/Format-Serving"
_GRAPH, _INDEX = f"{_MODEL}/saved_model.pb", f"{_MODEL}/variables/variables.index"
_WEIGHTS = f"{_MODEL}/variables/variables.data-00000-of-00001"
_BLESSING = f"blessing/{BLESSING_FILE}"
_BLOCKED = Verdict.of([find("collapse", "Class 1 gets 99 of 100 examples.")])
_ANOTHER = "not the one that was blessed"
_FAR_FUTURE = 9_999_999_999


def _swap(bench):
    rename(_GRAPH, "aside")(bench)
    rename(_INDEX, _GRAPH)(bench)
    rename("aside", _INDEX)(bench)


def _empty(bench):
    bench.remove(_MODEL)
    (bench.root / _MODEL / "variables").mkdir(parents=True)


def _make_pipe(bench):
    os.mkfifo(bench.root / _MODEL / "pipe")


def _link_without_a_text_for_name(bench):
    os.symlink("saved_model.pb", os.fsencode(bench.root / _MODEL) + b"/\xff")


def _block(bench, *, record=False, mark=False, verdict=False):
    """Lets the model be blocked; then somebody edits parts of the blessing by hand."""
    blessing = Blessing(
        blessed=record,
        model_sha256=model_digest(bench.root / _MODEL),
        verdict=Verdict() if verdict else _BLOCKED,
        decided_at="2026-11-22T10:00:00+00:00",
    )
    artifact_io.write_text(bench.blessing.uri, BLESSING_FILE, blessing.to_json())
    bench.blessing.set_int_custom_property("blessed", int(mark))


def _bless_another(bench):
    """Hands over the whole blessing of another model."""
    digest = "0" * 64
    edit(_BLESSING, model_sha256=digest)(bench)
    bench.blessing.set_string_custom_property("model_sha256", digest)


def _unmark(bench):
    unmarked = standard_artifacts.ModelBlessing()
    unmarked.uri = bench.blessing.uri
    bench.blessing = unmarked


def _withdraw(bench):
    bench.push()
    registry.rollback(bench.destination)


TAMPERED_MODELS = (
    Fault("one byte of the weights changed", flip(_WEIGHTS), _ANOTHER),
    Fault("weights cut off after the blessing", cut(_WEIGHTS), _ANOTHER),
    Fault("a file added to the model", overwrite(f"{_MODEL}/assets/more"), _ANOTHER),
    Fault("a hidden file added", overwrite(f"{_MODEL}/.hidden"), _ANOTHER),
    Fault("a file removed", remove(f"{_MODEL}/fingerprint.pb"), _ANOTHER),
    Fault("a file renamed", rename(_INDEX, f"{_MODEL}/variables/index"), _ANOTHER),
    Fault("two files exchanged", _swap, _ANOTHER),
    Fault("a file replaced by a link to itself", link(_WEIGHTS, "else"), "symbolic"),
    Fault("a pipe among the files", _make_pipe, "symbolic link or a device"),
    Fault("a link whose name is no text", _link_without_a_text_for_name, r"\\xff"),
    Fault("all files removed", _empty, "holds no files"),
    Fault("model removed after the blessing", remove("model"), "holds no files"),
    Fault("a file that may not be read", forbid(_WEIGHTS), "Permission denied"),
    Fault(
        "a passport laid into the model", overwrite(f"{_MODEL}/guard.json"), _ANOTHER
    ),
)

TAMPERED_BLESSINGS = (
    Fault("no blessing wired", lambda b: setattr(b, "blessing", None), "no blessing"),
    Fault("evaluator killed before it decided", remove("blessing"), "no such file"),
    Fault("blessing cut off", cut(_BLESSING), "cannot be read"),
    Fault("blessing is no text", overwrite(_BLESSING), "UnicodeDecodeError"),
    Fault("blessing is a folder", make_folder(_BLESSING), "Is a directory"),
    Fault("blessing may not be read", forbid(_BLESSING), "[Pp]ermission denied"),
    Fault("blessing of a newer format", edit(_BLESSING, format_version=2), "format 2"),
    Fault("blessing with an unknown field", edit(_BLESSING, more=1), "cannot be read"),
    Fault(
        "blessing without a verdict", edit(_BLESSING, verdict=None), "cannot be read"
    ),
    Fault("blessing without a mark", _unmark, "`blessed` is not 1"),
    Fault("model blocked", _block, "not blessed: blocked: collapse"),
    Fault(
        "model blocked, the file flipped by hand",
        lambda bench: _block(bench, record=True),
        "contradicts itself",
    ),
    Fault(
        "model blocked, the mark flipped by hand",
        lambda bench: _block(bench, mark=True),
        "not blessed: blocked: collapse",
    ),
    Fault(
        "model blocked, file and mark flipped by hand",
        lambda bench: _block(bench, record=True, mark=True),
        "contradicts itself",
    ),
    Fault(
        "model blocked, the file flipped and its findings removed by hand",
        lambda bench: _block(bench, record=True, verdict=True),
        "`blessed` is not 1",
    ),
    Fault("blessing of another model", _bless_another, _ANOTHER),
    Fault(
        "digest in the blessing edited by hand",
        edit(_BLESSING, model_sha256="0" * 64),
        "not as it was written",
    ),
    Fault("model withdrawn from production", _withdraw, "was withdrawn at"),
)


def _put_file(bench):
    shutil.rmtree(bench.destination)
    bench.destination.write_text("a file")


def _put_below_a_file(bench):
    bench.destination = bench.destination / str(bench.versions()[0]) / "saved_model.pb"


def _link_to_nowhere(bench):
    shutil.move(bench.destination, bench.root / "moved")
    bench.destination.symlink_to("nowhere")


def _close(bench):
    bench.destination.chmod(0o500)
    bench.callback(bench.destination.chmod, 0o700)
    bench.enter_context(obeying_permissions())


def _limit_files(bench):
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
    bench.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))


def _hold_the_lock(bench):
    """As a process does that was stopped while it held the lock."""
    bench.enter_context(locking.locked(bench.destination))
    bench.patch("components.registry.locking._PATIENCE_SECONDS", 0.1)


def _two_blessings(bench):
    bench.blessing = [bench.blessing, bench.blessing]


def _redirect(destination):
    return lambda bench: setattr(bench, "destination", destination)


def _change_while_copied(bench):
    copy = shutil.copyfile

    def copy_and_write(source, target):
        copy(source, target)
        with open(target, "ab") as file:
            file.write(b"more")

    bench.patch("components.registry.staging.shutil.copyfile", copy_and_write)


def _take_the_largest_version(bench):
    (bench.destination / str(2**63 - 1)).mkdir()
    bench.ignore(2**63 - 1)


DESTINATION_FAULTS = (
    Fault("destination is a file", _put_file, "expected a folder"),
    Fault("destination lies below a file", _put_below_a_file, "expected a folder"),
    Fault("destination is a link to nowhere", _link_to_nowhere, "File exists"),
    Fault("destination may not be written to", _close, "Permission denied"),
    Fault("destination is an address", _redirect("gs://bucket/models"), "is a URL"),
    Fault("destination empty", _redirect(""), "is empty"),
    Fault("disk full in the middle of a file", _limit_files, "File too large"),
    Fault("another push stopped while it holds the lock", _hold_the_lock, "has held"),
    Fault(
        "no greater version left",
        _take_the_largest_version,
        "largest that TensorFlow Serving reads",
    ),
    Fault(
        "class weights for the passport cut off",
        cut(f"class_weights/{CLASS_WEIGHTS_FILE}"),
        "expected a ClassTable as JSON",
    ),
    Fault("two blessings wired", _two_blessings, "but got 2|length of 2|2"),
)


def _stop_the_clock(seconds):
    def inject(bench):
        clock = types.SimpleNamespace(time=lambda: seconds)
        bench.patch("components.registry.publishing.time", clock)

    return inject


def _make_names_that_are_no_versions(bench):
    for name in ("latest", ".17", "-5", "1.5", "²", "99999999999999999999999"):
        (bench.destination / name).mkdir()


def _make_files_in_the_way(bench):
    (bench.destination / str(_FAR_FUTURE)).mkdir()
    (bench.destination / str(_FAR_FUTURE + 1)).write_text("")
    (bench.destination / str(_FAR_FUTURE + 2)).symlink_to("nowhere")
    bench.ignore(_FAR_FUTURE)


def _put_by_hand(bench):
    shutil.copytree(bench.root / _MODEL, bench.destination / str(_FAR_FUTURE))
    bench.ignore(_FAR_FUTURE)


def _garble_a_passport(bench):
    version = bench.versions()[0]
    (bench.destination / str(version) / PASSPORT_FILE).write_text("{")
    bench.ignore(version)


def _leave_staging(bench):
    shutil.copytree(bench.root / _MODEL, bench.destination / ".staging-killed")


def _lose_an_answer(bench):
    """As NFS does: what is renamed is said to be missing when it is asked again."""
    rename_once = os.rename

    class Lost(type(bench.destination)):
        def rename(self, target):
            rename_once(self, target)
            raise FileNotFoundError(2, "No such file or directory")

    bench.patch("components.registry.staging._new_name", lambda root: Lost(root, ".s"))


def _set_umask(bench):
    bench.destination.chmod(0o755)
    bench.callback(os.umask, os.umask(0o077))


def _fail_to_prune(bench):
    bench.keep_versions = 1
    bench.patch("components.registry.upkeep.move_aside", _refuse)


def _refuse(folder):
    raise PermissionError(13, "Permission denied")


SURVIVED_FAULTS = (
    Fault("clock set back to 1970", _stop_the_clock(0)),
    Fault("clock before 1970", _stop_the_clock(-1000)),
    Fault("clock set far ahead", _stop_the_clock(_FAR_FUTURE)),
    Fault("folders whose names are no versions", _make_names_that_are_no_versions),
    Fault("files and links where the version should go", _make_files_in_the_way),
    Fault("a newer version put there by hand", _put_by_hand),
    Fault("passport of the version before garbled", _garble_a_passport),
    Fault("staging folder of a killed push left", _leave_staging),
    Fault("answer of a network disk lost", _lose_an_answer),
    Fault("umask that closes files to all others", _set_umask),
    Fault("old versions cannot be removed", _fail_to_prune),
)
