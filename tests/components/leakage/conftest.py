# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture(scope="session")
def example():
    """Makes a serialized tf.train.Example of values by feature name.

    Values are bytes, int or float, one or a list.
    """
    # Here, so that tests of pure modules do not load TensorFlow.
    from tensorflow.core.example import example_pb2

    fields = {bytes: "bytes_list", int: "int64_list", float: "float_list"}

    def make(**features):
        example = example_pb2.Example()
        for name, values in features.items():
            values = values if isinstance(values, list) else [values]
            feature = example.features.feature[name]
            getattr(feature, fields[type(values[0])]).value.extend(values)
        return example.SerializeToString()

    return make


@pytest.fixture(scope="session")
def digits(example):
    """scikit-learn's 1,797 real images as records, in their own order."""
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    return [
        example(pixels=image.tolist(), label=int(label), row=row)
        for row, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
