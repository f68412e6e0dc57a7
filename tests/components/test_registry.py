# SPDX-License-Identifier: Apache-2.0
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import pytest

from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict, find
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.locking import LOCK_FILE

_ROOT = Path(registry.__file__).parents[2]
_FAR_FUTURE = 9_999_999_999

_PUBLISH = """
import pathlib, sys, time
from components import registry
from components.digest import model_digest
from components.findings import Verdict
from components.records.passport import Passport

start, destination, *models = sys.argv[1:]
while start and not pathlib.Path(start).exists():
    time.sleep(0.001)
for model in models:
    passport = Passport(
        model_sha256=model_digest(model), verdict=Verdict(), blessed_at="now"
    )
    print(registry.publish(model, destination, passport), flush=True)
"""


def make_model(folder, text="weights", num_shards=1):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph of {text}")
    (folder / "fingerprint.pb").write_bytes(b"\0\1")
    for shard in range(num_shards):
        (folder / "variables" / f"variables.data-{shard:05}").write_text(text * 100)
    return folder


def passport_of(folder):
    return Passport(
        model_sha256=model_digest(folder), verdict=Verdict(), blessed_at="2026-01-01"
    )


def push(model, destination):
    return registry.publish(model, destination, passport_of(model))


def start_publishing(destination, *models, start=""):
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            _PUBLISH,
            str(start),
            str(destination),
            *map(str, models),
        ],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [Path(line) for line in output.splitlines()]


def names(folder):
    """Returns what stands in a folder; the lock's file always does."""
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "pushed"


def test_the_module_brings_no_framework_along():
    script = (
        "import sys, components.registry\n"
        "print({'tfx', 'tensorflow', 'apache_beam', 'keras'} & set(sys.modules))"
    )
    output = subprocess.check_output(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
    )
    assert output.strip() == "set()"


class TestVersions:
    def test_are_none_where_there_is_no_destination(self, destination):
        assert registry.versions(destination) == ()
        assert registry.state(destination) == ""
        assert registry.latest(destination) is None

    def test_are_none_in_an_empty_destination(self, destination):
        destination.mkdir()
        assert registry.versions(destination) == ()

    def test_ascend_by_number_not_by_name(self, destination):
        for name in ("100", "9", "20"):
            (destination / name).mkdir(parents=True)
        assert registry.versions(destination) == (9, 20, 100)
        assert registry.state(destination) == "100"

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            pytest.param("0012", (12,), id="leading-zeros-as-serving-reads-them"),
            pytest.param("0", (0,), id="zero"),
            pytest.param(str(2**63 - 1), (2**63 - 1,), id="largest"),
            pytest.param(str(2**63), (), id="just-beyond-the-largest"),
            pytest.param(".staging-x", (), id="staging"),
            pytest.param(".17", (), id="hidden"),
            pytest.param("tmp", (), id="word"),
            pytest.param("-5", (), id="negative"),
            pytest.param("+5", (), id="sign"),
            pytest.param("1_000", (), id="underscore"),
            pytest.param("1.5", (), id="fraction"),
            pytest.param(" 7", (), id="blank"),
            pytest.param("٣", (), id="digit-of-another-script"),
            pytest.param("²", (), id="superscript"),
        ],
    )
    def test_are_folders_named_by_decimal_digits(self, destination, name, expected):
        (destination / name).mkdir(parents=True)
        assert registry.versions(destination) == expected

    def test_are_never_files(self, destination):
        destination.mkdir()
        (destination / "17").write_text("")
        assert registry.versions(destination) == ()

    def test_refuse_a_destination_that_is_a_file(self, destination):
        destination.write_text("")
        with pytest.raises(InputError, match=re.escape(str(destination))):
            registry.versions(destination)


@pytest.mark.parametrize("function", [registry.versions, registry.latest])
@pytest.mark.parametrize(
    "url", ["", "gs://bucket/models", "s3://b", "hdfs://n/x", "file:///srv", "gs:/b"]
)
def test_only_folders_are_destinations(function, url):
    with pytest.raises(InputError, match=re.escape(repr(url))):
        function(url)


def test_publish_refuses_a_url_before_it_reads_anything(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="gs://bucket"):
        registry.publish(model, "gs://bucket/models", passport_of(model))
    assert names(tmp_path) == ["model"]


class TestLatest:
    def test_is_the_newest_pushed(self, tmp_path, destination, model):
        push(model, destination)
        newest = push(make_model(tmp_path / "other", "other"), destination)
        assert registry.latest(destination) == newest

    def test_passes_over_versions_without_passport(self, destination, model, caplog):
        pushed = push(model, destination)
        make_model(destination / str(_FAR_FUTURE))
        with caplog.at_level(logging.WARNING):
            assert registry.latest(destination) == pushed
        assert str(_FAR_FUTURE) in caplog.text

    def test_is_none_where_nothing_has_a_passport(self, destination):
        make_model(destination / "1")
        assert registry.latest(destination) is None

    def test_finds_a_folder_with_leading_zeros(self, destination, model):
        pushed = push(model, destination)
        renamed = pushed.rename(destination / f"000{pushed.name}")
        assert registry.latest(destination) == renamed

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b'{"format_version": 1, "model_sha', id="half-written"),
            pytest.param(b"\xff\xfe", id="not-utf-8"),
            pytest.param(b"[]", id="other-json"),
            pytest.param(
                Passport(
                    model_sha256="0" * 64,
                    verdict=Verdict.of([find("collapse", "99 of 100")]),
                    blessed_at="then",
                )
                .to_json()
                .encode(),
                id="verdict-that-blocks",
            ),
        ],
    )
    def test_refuses_an_unreadable_passport(
        self, tmp_path, destination, model, content
    ):
        push(model, destination)
        newest = push(make_model(tmp_path / "other", "other"), destination)
        (newest / PASSPORT_FILE).write_bytes(content)
        with pytest.raises(InputError, match=re.escape(str(newest / PASSPORT_FILE))):
            registry.latest(destination)

    def test_refuses_a_passport_of_a_later_format(self, destination, model):
        path = push(model, destination) / PASSPORT_FILE
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "format_version": 2})
        )
        with pytest.raises(InputError, match="format_version"):
            registry.latest(destination)


class TestPublish:
    def test_puts_model_and_passport_into_one_version(self, destination, model):
        before = int(time.time())
        folder = push(model, destination)
        assert before <= int(folder.name) <= time.time()
        assert names(destination) == [folder.name]
        assert names(folder) == sorted([*names(model), PASSPORT_FILE])
        assert model_digest(folder, ignore={PASSPORT_FILE}) == model_digest(model)
        passport = registry.verify(folder)
        assert passport.version == int(folder.name)
        assert passport.pushed_at.endswith("+00:00")
        assert passport.blessed_at == "2026-01-01"

    def test_makes_the_destination_with_its_parents(self, tmp_path, model):
        folder = push(model, tmp_path / "a" / "b")
        assert folder.parent == tmp_path / "a" / "b"

    def test_lets_other_users_read_what_the_umask_allows(self, destination, model):
        (model / "variables").chmod(0o700)
        (model / "saved_model.pb").chmod(0o600)
        old = os.umask(0o022)
        try:
            folder = push(model, destination)
        finally:
            os.umask(old)
        assert (folder.stat().st_mode & 0o777) == 0o755
        assert ((folder / "variables").stat().st_mode & 0o777) == 0o755
        assert ((folder / "saved_model.pb").stat().st_mode & 0o777) == 0o644

    @pytest.mark.parametrize(
        ("granted", "folder", "file"),
        [
            pytest.param(0o755, 0o755, 0o644, id="everybody"),
            pytest.param(0o750, 0o750, 0o640, id="the-group"),
            pytest.param(0o700, 0o700, 0o600, id="nobody"),
            pytest.param(0o775, 0o755, 0o644, id="never-to-write"),
            pytest.param(0o744, 0o744, 0o644, id="listing-without-entering"),
        ],
    )
    def test_lets_those_read_who_may_read_the_destination(
        self, destination, model, granted, folder, file
    ):
        destination.mkdir()
        destination.chmod(granted)
        old = os.umask(0o077)
        try:
            version = push(model, destination)
        finally:
            os.umask(old)
        for path in (version, *version.rglob("*")):
            expected = folder if path.is_dir() else file
            assert (path.stat().st_mode & 0o777) == expected, path

    def test_keeps_the_group_that_a_destination_hands_down(self, destination, model):
        destination.mkdir()
        destination.chmod(0o2755)
        assert push(model, destination).stat().st_mode & 0o2000

    def test_refuses_the_passport_of_a_model_that_was_blocked(self, destination, model):
        blocked = Verdict.of([find("collapse", "Class 1 gets 99 of 100 examples.")])
        passport = passport_of(model).model_copy(update={"verdict": blocked})
        with pytest.raises(InputError, match="its verdict is: blocked: collapse"):
            registry.publish(model, destination, passport)
        assert not destination.exists()

    def test_leaves_the_newest_version_alone_if_it_is_this_model(
        self, destination, model
    ):
        first = push(model, destination)
        written = (first / PASSPORT_FILE).read_bytes()
        assert push(model, destination) == first
        assert names(destination) == [first.name]
        assert (first / PASSPORT_FILE).read_bytes() == written

    def test_pushes_again_what_an_older_version_holds(
        self, tmp_path, destination, model
    ):
        first = push(model, destination)
        push(make_model(tmp_path / "other", "other"), destination)
        assert int(push(model, destination).name) > int(first.name)
        assert len(registry.versions(destination)) == 3

    def test_pushes_again_what_a_foreign_version_hides(self, destination, model):
        push(model, destination)
        make_model(destination / str(_FAR_FUTURE))
        assert push(model, destination).name == str(_FAR_FUTURE + 1)

    @pytest.mark.parametrize("file", ["saved_model.pb", PASSPORT_FILE])
    def test_mends_a_newest_version_that_was_changed(self, destination, model, file):
        first = push(model, destination)
        (first / file).write_text("changed")
        second = push(model, destination)
        assert second != first
        registry.verify(second)

    def test_versions_grow_even_if_the_clock_goes_back(
        self, tmp_path, destination, model
    ):
        push(model, destination).rename(destination / str(_FAR_FUTURE))
        for number in range(1, 4):
            other = make_model(tmp_path / str(number), str(number))
            assert push(other, destination).name == str(_FAR_FUTURE + number)

    def test_does_not_replace_an_empty_version_folder(self, destination, model):
        (destination / str(_FAR_FUTURE)).mkdir(parents=True)
        assert push(model, destination).name == str(_FAR_FUTURE + 1)
        assert names(destination / str(_FAR_FUTURE)) == []

    def test_steps_over_a_file_in_its_way(self, destination, model):
        (destination / str(_FAR_FUTURE)).mkdir(parents=True)
        (destination / str(_FAR_FUTURE + 1)).write_text("")
        assert push(model, destination).name == str(_FAR_FUTURE + 2)

    def test_refuses_when_no_greater_version_is_left(self, destination, model):
        (destination / str(2**63 - 1)).mkdir(parents=True)
        with pytest.raises(InputError, match=str(2**63 - 1)):
            push(model, destination)
        assert names(destination) == [str(2**63 - 1)]

    @pytest.mark.parametrize(
        "tamper",
        [
            pytest.param(
                lambda model: (model / "saved_model.pb").write_text("x"), id="changed"
            ),
            pytest.param(lambda model: (model / "more").write_text("x"), id="added"),
            pytest.param(
                lambda model: (model / "fingerprint.pb").unlink(), id="removed"
            ),
            pytest.param(
                lambda model: (model / "fingerprint.pb").rename(model / "print.pb"),
                id="renamed",
            ),
        ],
    )
    def test_refuses_a_model_changed_since_its_blessing(
        self, destination, model, tamper
    ):
        passport = passport_of(model)
        tamper(model)
        with pytest.raises(registry.ModelChangedError) as error:
            registry.publish(model, destination, passport)
        assert passport.model_sha256 in str(error.value)
        assert model_digest(model) in str(error.value)
        assert not destination.exists()

    def test_refuses_a_changed_model_even_if_the_blessed_one_is_the_newest(
        self, destination, model
    ):
        passport = passport_of(model)
        push(model, destination)
        (model / "saved_model.pb").write_text("changed")
        with pytest.raises(registry.ModelChangedError):
            registry.publish(model, destination, passport)

    def test_refuses_a_model_with_a_file_called_like_a_passport(
        self, destination, model
    ):
        (model / PASSPORT_FILE).write_text("{}")
        with pytest.raises(InputError, match=re.escape(str(model / PASSPORT_FILE))):
            push(model, destination)
        assert not destination.exists()

    def test_refuses_a_model_that_is_not_there(self, tmp_path, destination, model):
        with pytest.raises(InputError, match="nothing-here"):
            registry.publish(tmp_path / "nothing-here", destination, passport_of(model))

    @pytest.mark.parametrize("below", ["", "models"])
    def test_refuses_a_destination_that_is_or_lies_below_a_file(
        self, tmp_path, model, below
    ):
        (tmp_path / "file").write_text("")
        destination = tmp_path / "file" / below
        with pytest.raises(InputError, match=re.escape(str(destination))):
            push(model, destination)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_refuses_a_destination_without_permission(self, destination, model):
        destination.mkdir(mode=0o500)
        with pytest.raises(InputError, match=re.escape(str(destination))):
            push(model, destination)

    @pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
    def test_refuses_a_destination_that_nobody_can_write_to(self, model):
        with pytest.raises(InputError, match="/proc/models"):
            push(model, "/proc/models")

    def test_leaves_nothing_behind_when_the_disk_is_full(self, destination, model):
        # The limit on the size of a file strikes in the middle of copying, as a
        # full disk does.
        (model / "variables" / "z").write_bytes(bytes(100_000))
        script = (
            "import resource\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
            f"exec({_PUBLISH!r})"
        )
        process = subprocess.run(
            [sys.executable, "-c", script, "", str(destination), str(model)],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
        )
        assert process.returncode == 1
        assert "OSError" in process.stderr
        assert names(destination) == []

    @pytest.mark.parametrize(
        ("age_hours", "remains"),
        [
            pytest.param(23, True, id="younger-than-a-day"),
            pytest.param(25, False, id="older-than-a-day"),
        ],
    )
    def test_removes_what_killed_pushes_left_a_day_ago(
        self, destination, model, age_hours, remains
    ):
        stale = make_model(destination / ".staging-killed")
        then = time.time() - age_hours * 3600
        for path in [*stale.rglob("*"), stale]:
            os.utime(path, (then, then))
        push(model, destination)
        assert stale.exists() is remains

    def test_keeps_an_old_staging_folder_that_is_still_written_to(
        self, destination, model
    ):
        staging = make_model(destination / ".staging-slow")
        os.utime(staging, (0, 0))
        push(model, destination)
        assert staging.exists()

    def test_keeps_what_it_did_not_make(self, destination, model):
        for name in (".hidden", "tmp"):
            make_model(destination / name)
            os.utime(destination / name, (0, 0))
        folder = push(model, destination)
        assert names(destination) == sorted([".hidden", "tmp", folder.name])


class TestVerify:
    def test_holds_for_a_copy_elsewhere(self, tmp_path, destination, model):
        folder = push(model, destination)
        assert registry.verify(folder.rename(tmp_path / "copy")).verdict.passed

    def test_names_the_passport_that_is_missing(self, model):
        with pytest.raises(InputError, match=re.escape(str(model / PASSPORT_FILE))):
            registry.verify(model)

    def test_names_the_passport_of_a_folder_that_is_missing(self, tmp_path):
        with pytest.raises(InputError, match="nowhere"):
            registry.verify(tmp_path / "nowhere")

    @pytest.mark.parametrize("spoil", ["link", "empty"])
    def test_what_no_blessed_model_holds_is_a_change(self, destination, model, spoil):
        folder = push(model, destination)
        if spoil == "link":
            (folder / "link").symlink_to("saved_model.pb")
        else:
            for name in ("saved_model.pb", "fingerprint.pb"):
                (folder / name).unlink()
            shutil.rmtree(folder / "variables")
        with pytest.raises(registry.ModelChangedError, match=re.escape(str(folder))):
            registry.verify(folder)

    def test_names_both_digests_of_a_changed_model(self, destination, model):
        folder = push(model, destination)
        (folder / "saved_model.pb").write_text("changed")
        came = model_digest(folder, ignore={PASSPORT_FILE})
        with pytest.raises(InputError) as error:
            registry.verify(folder)
        assert str(folder) in str(error.value)
        assert model_digest(model) in str(error.value)
        assert came in str(error.value)


def test_processes_that_publish_at_once_get_versions_of_their_own(
    tmp_path, destination
):
    start = tmp_path / "start"
    models = [make_model(tmp_path / "models" / str(n), str(n)) for n in range(20)]
    processes = [
        start_publishing(destination, *models[:10], start=start),
        start_publishing(destination, *models[10:], start=start),
    ]
    start.touch()
    folders = [folder for process in processes for folder in finish(process)]
    assert len(set(folders)) == 20
    assert names(destination) == sorted(folder.name for folder in folders)
    for folder, model in zip(folders, models, strict=True):
        assert registry.verify(folder).model_sha256 == model_digest(model)


def test_a_reader_never_sees_half_a_model(tmp_path, destination):
    destination.mkdir()
    models = [make_model(tmp_path / "models" / str(n), str(n)) for n in range(50)]
    done = threading.Event()
    broken, seen = [], set()

    def watch():
        while not done.is_set():
            for name in os.listdir(destination):
                if name.isdigit() and name not in seen:
                    try:
                        registry.verify(destination / name)
                    except Exception as error:
                        broken.append(error)
                    seen.add(name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        folders = finish(start_publishing(destination, *models))
    finally:
        done.set()
        watcher.join()
    assert broken == []
    assert len(set(folders)) == 50
    assert len(seen) > 1


def test_a_model_that_changes_while_it_is_copied_is_refused(tmp_path, destination):
    model = make_model(tmp_path / "model", num_shards=1500)
    with futures.ThreadPoolExecutor() as pool:
        pushing = pool.submit(push, model, destination)
        while not (copied := list(destination.glob(".staging-*/variables/*"))):
            assert not pushing.done()
        ahead = set(names(model / "variables")) - {path.name for path in copied}
        (model / "variables" / max(ahead)).write_text("changed")
        (model / "variables" / min(ahead)).write_text("changed")
        assert isinstance(pushing.exception(), registry.ModelChangedError)
    assert names(destination) == []


def test_a_killed_push_adds_no_version(tmp_path, destination):
    model = make_model(tmp_path / "model", num_shards=1500)
    process = start_publishing(destination, model)
    while not list(destination.glob(".staging-*/variables/*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert registry.versions(destination) == ()
    assert registry.latest(destination) is None
    assert len(names(destination)) == 1

    folder = push(model, destination)
    registry.verify(folder)
    assert registry.versions(destination) == (int(folder.name),)
