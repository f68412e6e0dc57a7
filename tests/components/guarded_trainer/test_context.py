# SPDX-License-Identifier: Apache-2.0
from components.guarded_trainer.context import ModelContext


def test_number_of_classes():
    context = ModelContext(
        input_shape=(3,),
        feature_names=("a", "b", "c"),
        class_names=("x", "y"),
        num_train_examples=7,
        hyperparameters={},
        train_inputs=None,
    )
    assert context.num_classes == 2
