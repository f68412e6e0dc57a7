# SPDX-License-Identifier: Apache-2.0

from components.guarded_evaluator.measure import make_eval_config
from components.guarded_evaluator.models import JudgedModel


def test_every_model_is_asked_for_its_own_output():
    models = [
        JudgedModel("candidate", "a", "serving_default", "probabilities"),
        JudgedModel("baseline", "b", "serving_default"),
    ]
    config = make_eval_config(models)
    assert [s.prediction_key for s in config.model_specs] == ["probabilities", ""]
    paired = {m.class_name: m.config for m in config.metrics_specs[1].metrics}
    assert paired["PairedOutcomes"] == '"reference": "candidate"'


def test_a_changed_example_is_only_compared():
    model = JudgedModel("candidate", "a", "serving_default")
    config = make_eval_config([model], ["site"], ["perturbed:noise"])
    of_one, of_two = config.metrics_specs
    assert list(of_one.model_names) == ["candidate"]
    assert list(of_two.model_names) == ["candidate", "perturbed:noise"]
    keys = [list(spec.feature_keys) for spec in config.slicing_specs]
    assert keys == [["guard_split"], ["guard_split", "site"]]


def test_a_lone_model_is_compared_with_nothing():
    config = make_eval_config([JudgedModel("candidate", "a", "serving_default")])
    assert len(config.metrics_specs) == 1
