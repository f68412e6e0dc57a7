# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture(scope="session")
def digits(example):
    """scikit-learn's 1,797 real images as records, in their own order."""
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    return [
        example(pixels=image.tolist(), label=int(label), row=row)
        for row, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
