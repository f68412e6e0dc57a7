# SPDX-License-Identifier: Apache-2.0
"""One trained model with all that comes before a push, to be spoilt in copies."""

import sys
from pathlib import Path

import pytest

# The tables beside the tests are modules of their own.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """A folder with every artifact that the gate reads, none of them spoilt."""
    from fault_bench import make_artifacts

    folder = tmp_path_factory.mktemp("artifacts")
    make_artifacts(folder)
    return folder


@pytest.fixture(scope="session")
def judged(artifacts, tmp_path_factory):
    """The bench after the sound model was judged."""
    from fault_bench import Bench

    with Bench(artifacts, tmp_path_factory.mktemp("judged")) as bench:
        blessing = bench.judge()
        assert blessing.blessed, blessing.verdict
        yield bench


@pytest.fixture
def bench(artifacts, tmp_path):
    """A copy of the artifacts that a fault may spoil, and the steps of the gate."""
    from fault_bench import Bench

    with Bench(artifacts, tmp_path) as bench:
        yield bench


@pytest.fixture
def blessed(bench, judged):
    """A bench whose model is blessed, and where an earlier one is in production."""
    bench.take_blessing(judged)
    bench.push_earlier_model()
    return bench
