# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest


@dataclasses.dataclass
class Data:
    """Rows in memory, as far as the probe asks for them."""

    inputs: object
    class_ids: np.ndarray
    classes: object
    num_held_out: int = 0

    @property
    def num_fitted(self):
        return len(self.class_ids)

    def steps_per_epoch(self, batch_size):
        return -(-self.num_fitted // batch_size)

    def fitted(self):
        import tensorflow as tf

        rows = (self.inputs, self.class_ids)
        return tf.data.Dataset.from_tensor_slices(rows)

    def held_out(self):
        return self.fitted().take(self.num_held_out)


@pytest.fixture(scope="session")
def data(class_table):
    """Makes training data of arrays."""

    def make(inputs, class_ids, num_classes=None, counts=None):
        class_ids = np.asarray(class_ids, np.int64)
        counts = counts or np.bincount(class_ids, minlength=num_classes or 0).tolist()
        return Data(inputs, class_ids, class_table(*range(len(counts)), counts=counts))

    return make
