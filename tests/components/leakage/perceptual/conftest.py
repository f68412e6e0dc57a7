# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiles():
    """Some 40 different real pictures: scikit-learn's two photos, cut up."""
    from sklearn.datasets import load_sample_images

    side = 96
    found = [
        picture[y : y + side, x : x + side]
        for picture in load_sample_images().images
        for y in range(0, picture.shape[0] - side + 1, side)
        for x in range(0, picture.shape[1] - side + 1, side)
    ]
    # Plain sky looks like plain sky.
    return [tile for tile in found if tile.mean(axis=2).std() > 15]


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's 1797 handwritten digits as pictures of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    grey = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)
