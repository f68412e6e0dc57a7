# SPDX-License-Identifier: Apache-2.0
"""What leaves this repository, and what must never enter it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LICENCE_LINE = "# SPDX-License-Identifier: Apache-2.0"
MAX_BYTES = 1_000_000

# Package indexes, by host, path or option. Written so that no pattern matches
# its own text here.
REGISTRY = re.compile(
    r"(?:py(?:pi|thonhosted)|npm(?:js)|ana(?:conda))\.org|artifac[t]ory|devp[i]"
    r"|https?://[^\s/]+/(?:[^\s/]+/)*simple\b"
    r"|--(?:extra-)?index-ur[l]|--find-link[s]|(?:PIP|UV)_(?:EXTRA_)?INDEX"
)


def repository_files() -> list[str]:
    """Returns the files that are, or would be, under version control."""
    listing = subprocess.run(
        # The checkout of a build machine often belongs to another user.
        ["git", "-c", "safe.directory=*", "ls-files", "-z"]
        + ["--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("this is no git checkout, so no file is known to be tracked")
    names = sorted(set(listing.stdout.decode().split("\0")) - {""})
    return [name for name in names if (ROOT / name).is_file()]


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """Names of the files in the wheel, built from a copy, without a network."""
    source = tmp_path_factory.mktemp("source")
    for name in repository_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    built = tmp_path_factory.mktemp("wheel")
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(built)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_wheel_exposes_exactly_our_two_packages(wheel):
    top = {PurePosixPath(name).parts[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "components",
        "pipeline",
    }


def test_wheel_holds_every_module_and_data_file(wheel):
    ours = [
        name
        for name in repository_files()
        if name.startswith(("components/", "pipeline/")) and not name.endswith(".md")
    ]
    assert sorted(set(ours) - set(wheel)) == []


@pytest.mark.parametrize("folder", ["kubeflow", "schemas", "tests"])
def test_folder_is_no_package(folder):
    assert sorted((ROOT / folder).rglob("__init__.py")) == []


def test_no_file_is_too_big():
    sizes = {name: (ROOT / name).stat().st_size for name in repository_files()}
    assert {name: size for name, size in sizes.items() if size > MAX_BYTES} == {}


def test_no_file_names_a_package_registry():
    found = {}
    for name in repository_files():
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        if match := REGISTRY.search(text):
            found[name] = match.group()
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "https:" + "//registry.example/simple/",
        "https:" + "//user:secret@registry.example:8080/team/simple tfx",
        "--extra-" + "index-url=x",
        "UV_" + "INDEX_URL=x",
        "PIP_EXTRA_" + "INDEX_URL=x",
        "files.python" + "hosted" + ".org",
    ],
)
def test_registry_pattern_finds(text):
    assert REGISTRY.search(text)


def test_lock_holds_no_address_at_all():
    lock = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8")
    assert [line for line in lock.splitlines() if "://" in line] == []


def test_every_locked_package_has_a_hash():
    lock = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_lock_is_fresh():
    script = ROOT / "requirements/fingerprint.py"
    now = subprocess.check_output([sys.executable, str(script)], text=True)
    recorded = script.with_suffix(".txt").read_text(encoding="utf-8")
    assert recorded == now, (
        "requirements/lock.txt was resolved from other dependencies than those in "
        "pyproject.toml; run `make lock`"
    )


def test_every_source_file_names_its_licence():
    def has_licence(name: str) -> bool:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()[:2]
        first = 1 if lines and lines[0].startswith("#!") else 0
        return lines[first : first + 1] == [LICENCE_LINE]

    sources = [
        name
        for name in repository_files()
        if name.endswith(".py") or name == "Makefile" or name.startswith(".ci/")
    ]
    assert [name for name in sources if not has_licence(name)] == []


def test_scripts_of_continuous_integration_can_be_run():
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_version_is_the_newest_of_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d\S*)\]", changelog, flags=re.MULTILINE)
    assert pyproject()["project"]["version"] == versions[0]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_of_the_page_is_a_target(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    commands = re.findall(r"(?:^|`)(?:\$ )?make ([a-z]+)", text, flags=re.MULTILINE)
    assert commands
    assert set(commands) <= targets


def test_makefile_installs_the_python_of_this_repository():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^PYTHON_VERSION = (\S+)$", makefile, re.MULTILINE)
    assert (ROOT / ".python-version").read_text(encoding="utf-8").strip() == version
    assert pyproject()["project"]["requires-python"].startswith(f">={version},")
