# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong, nothing unblessed is served, and the reason is told."""

import gc
import re
import warnings

import pytest
from destination_faults import AT_ONCE, INTERRUPTED, TAMPERED_VERSIONS
from evaluation_faults import (
    CHECK_FAULTS,
    EXAMPLE_FAULTS,
    INPUT_FAULTS,
    MEASUREMENT_FAULTS,
    MODEL_FAULTS,
    SLICE_FAULTS,
)
from fault_page import PAGE, page
from fault_rows import faults
from interrupted import World
from push_faults import (
    DESTINATION_FAULTS,
    SURVIVED_FAULTS,
    TAMPERED_BLESSINGS,
    TAMPERED_MODELS,
)

from components import registry
from components.digest import model_digest
from components.errors import InputError

# Beam leaves a file open where writing it fails, until it is collected as garbage.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def collect_what_faults_left():
    """Closes what was left open here, and not in the middle of somebody's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_without_a_fault_the_model_is_blessed_and_served(judged):
    push = judged.push()
    assert push.pushed
    assert len(judged.served()) == 1


# NumPy warns of what becomes an integer and is no number, which stops no user.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@faults(CHECK_FAULTS, INPUT_FAULTS, MODEL_FAULTS, EXAMPLE_FAULTS, MEASUREMENT_FAULTS)
def test_a_fault_before_the_verdict_ends_without_blessing(fault, bench, judged):
    if not fault.measured:
        bench.remember(judged.evaluation.uri)
    fault.inject(bench)
    blessing = bench.judge()
    bench.close()
    assert not blessing.blessed
    assert bench.blessing.get_int_custom_property("blessed") == 0
    reasons = [f"{each.cause}: {each.message}" for each in blessing.verdict.blocking]
    assert re.search(fault.reason, "\n".join(reasons)), reasons
    assert not bench.push().pushed
    assert bench.served() == []


@faults(SLICE_FAULTS)
def test_what_could_not_be_judged_is_told(fault, bench):
    fault.inject(bench)
    blessing = bench.judge()
    assert re.search(
        fault.reason, "\n".join(f.message for f in blessing.verdict.findings)
    )
    assert bench.push().pushed == blessing.blessed == blessing.verdict.passed


@faults(TAMPERED_MODELS, TAMPERED_BLESSINGS)
def test_a_fault_after_the_verdict_ends_without_a_push(fault, blessed):
    before = blessed.served()
    fault.inject(blessed)
    push = blessed.push()
    blessed.close()
    assert not push.pushed
    assert re.search(fault.reason, push.reason), push.reason
    assert blessed.pushed_model.get_int_custom_property("pushed") == 0
    assert blessed.served()[-1] == before[-1]


@faults(DESTINATION_FAULTS)
def test_a_push_that_cannot_be_done_is_a_clear_error(fault, blessed):
    destination, before = blessed.destination, blessed.served()
    fault.inject(blessed)
    with pytest.raises((InputError, OSError, ValueError), match=fault.reason) as error:
        blessed.push()
    blessed.close()
    assert len(str(error.value).splitlines()) == 1
    blessed.destination = destination
    if destination.is_dir():
        assert blessed.served() == before


@faults(SURVIVED_FAULTS)
def test_what_does_no_harm_does_not_stop_a_push(fault, blessed):
    newest = blessed.versions()[-1]
    fault.inject(blessed)
    push = blessed.push()
    blessed.close()
    assert push.pushed, push.reason
    assert int(push.pushed_version) == blessed.versions()[-1] > newest
    assert blessed.served()[-1] == model_digest(blessed.root / "model/Format-Serving")
    assert registry.latest(blessed.destination).name == push.pushed_version


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.push("a")
    world.push("b")
    return world


@faults(TAMPERED_VERSIONS)
def test_a_version_that_was_changed_is_told_and_can_be_rolled_back(fault, world):
    fault.inject(world)
    newest = registry.versions(world.destination)[-1]
    with pytest.raises(InputError, match=fault.reason):
        registry.verify(world.destination / str(newest))
    restored = registry.rollback(world.destination)
    assert int(restored.name) == registry.versions(world.destination)[-1] > newest
    assert world.digests[registry.verify(restored).model_sha256] == "a"


@faults(AT_ONCE, INTERRUPTED)
def test_every_version_is_whole_whatever_happens(fault, world):
    fault.inject(world)


def test_the_page_tells_of_every_fault():
    assert PAGE.read_text() == page(), "run `python .../fault_page.py > docs/faults.md`"
