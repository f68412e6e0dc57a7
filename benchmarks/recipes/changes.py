# SPDX-License-Identifier: Apache-2.0
"""What happens to a model between training and use."""

import numpy as np


def changed(change):
    """Changes weights after training; `change` is given the list and a generator."""

    def after(model, task):
        random = np.random.default_rng(len(task.train))
        weights = [np.array(w) for w in model.get_weights()]
        change(weights, random)
        model.set_weights(weights)
        return model

    return after
