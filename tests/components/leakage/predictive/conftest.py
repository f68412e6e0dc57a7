# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.content.fingerprint import fingerprint
from components.leakage.predictive.rows import make_row
from components.leakage.predictive.sample import Sample


@pytest.fixture(scope="session")
def sample_of():
    """Makes a sample of features and labels, as the Beam transform does."""

    def make(examples, labels, no_content=(), positions=None):
        counted = {}
        for number, (features, label) in enumerate(zip(examples, labels, strict=True)):
            row = make_row(
                features,
                str(label),
                label_key="label",
                no_content=no_content,
                file="a.gz",
                position=number if positions is None else int(positions[number]),
            )
            content = fingerprint(features, no_content)
            key = fingerprint({"": [content, str(label).encode()]})
            _, other, count = counted.get(key, (key, row, 0))
            counted[key] = key, min(row, other), count + 1
        return Sample(counted.values())

    return make


@pytest.fixture(scope="session")
def vectors():
    """Turns rows of numbers into examples with one vector feature `x`."""

    def make(data):
        return [{"x": row} for row in np.asarray(data, np.float32)]

    return make
