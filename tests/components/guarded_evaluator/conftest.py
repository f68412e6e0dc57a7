# SPDX-License-Identifier: Apache-2.0
"""Measured results made of predictions, so that checks run without a model."""

import numpy as np
import pytest

from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    NUM_CALIBRATION_BINS,
    ONE_BY_ONE,
    PERTURBED_PREFIX,
    TRAINING_MODE,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)


class Split:
    """Labels of a split, and what each model predicts for them.

    Made of a confusion matrix, the examples stand in its order: by true class, then
    by predicted class.
    """

    def __init__(self, name, given, num_classes=None):
        if isinstance(given, tuple):
            self.labels, self.predicted = map(np.asarray, given)
            self.size = num_classes
        else:
            confusion = np.asarray(given)
            self.size = len(confusion)
            classes = np.arange(self.size)
            self.labels = np.repeat(classes, confusion.sum(axis=1))
            self.predicted = np.repeat(np.tile(classes, self.size), confusion.ravel())
        self.name = name

    def result(
        self,
        model,
        predicted,
        spread=0.3,
        num_not_finite=0,
        rows=slice(None),
        slice="",
        confidence=None,
        **fields,
    ):
        labels, predicted = self.labels[rows], predicted[rows]
        confusion = np.zeros((self.size, self.size), int)
        np.add.at(confusion, (labels, predicted), 1)
        hits, count = int(np.trace(confusion)), len(labels)
        # As certain as it is right, if nothing else is said.
        certain = confidence if confidence is not None else hits / max(count, 1)
        filled = CalibrationBin(
            num_examples=count, confidence_sum=certain * count, num_right=hits
        )
        bins = [CalibrationBin()] * NUM_CALIBRATION_BINS
        bins[min(int(certain * NUM_CALIBRATION_BINS), NUM_CALIBRATION_BINS - 1)] = (
            filled
        )
        return ModelResult(
            model=model,
            split=self.name,
            slice=slice,
            num_examples=len(labels) + num_not_finite,
            confusion=tuple(map(tuple, confusion.tolist())),
            mean_loss=0.5,
            output_spread=(spread,) * self.size,
            num_not_finite=num_not_finite,
            **{
                "calibration": tuple(bins),
                "output_range": (0.0, 1.0),
                **fields,
            },
        )

    def pair(self, other, predicted, distance, rows=slice(None), slice=""):
        ours = (self.predicted == self.labels)[rows]
        theirs = (predicted == self.labels)[rows]
        return PairedResult(
            other=other,
            split=self.name,
            slice=slice,
            both_right=int(np.sum(ours & theirs)),
            only_candidate_right=int(np.sum(ours & ~theirs)),
            only_other_right=int(np.sum(~ours & theirs)),
            both_wrong=int(np.sum(~ours & ~theirs)),
            mean_distance=distance,
            num_different=int(np.sum((self.predicted != predicted)[rows])),
        )


@pytest.fixture(scope="session")
def make_evidence():
    """Makes evidence that is in order but for what is said otherwise.

    Both splits are confusion matrices or (labels, predictions). Modes, baseline and
    harmless changes are predictions for the examples of a split, by default those of
    the candidate. Slices are rows of the evaluation split by name; `spreads` those
    whose outputs vary otherwise. What else `judged_fields` holds stands in the
    candidate's result on the evaluation split.
    """

    def make(
        judged,
        train=None,
        *,
        num_classes=None,
        training_mode=None,
        batch_statistics=None,
        train_training_mode=None,
        baseline=None,
        perturbed=None,
        distance=0.0,
        alone=0.0,
        spread=0.3,
        train_spread=None,
        num_not_finite=0,
        modes=True,
        training=None,
        upstream=(),
        by_slice=None,
        spreads=None,
        unjudged=(),
        judged_fields=None,
        **config,
    ):
        evaluation = Split("eval", judged, num_classes)
        learnt = Split("train", judged if train is None else train, num_classes)
        asked = {}
        if modes:
            asked = {
                (TRAINING_MODE, evaluation): training_mode,
                (BATCH_STATISTICS_MODE, evaluation): batch_statistics,
                (TRAINING_MODE, learnt): train_training_mode,
                (BATCH_STATISTICS_MODE, learnt): None,
            }
        if baseline is not None:
            asked[BASELINE, evaluation] = baseline
        asked = {
            (model, split): split.predicted if given is None else np.asarray(given)
            for (model, split), given in asked.items()
        }
        changed = {"brightness": None} if perturbed is None else perturbed
        changed = {
            f"{PERTURBED_PREFIX}{name}": evaluation.predicted if p is None else p
            for name, p in changed.items()
        }
        results = [
            evaluation.result(
                CANDIDATE,
                evaluation.predicted,
                spread,
                num_not_finite,
                **(judged_fields or {}),
            ),
            learnt.result(
                CANDIDATE,
                learnt.predicted,
                spread if train_spread is None else train_spread,
            ),
            *(s.result(model, given, spread) for (model, s), given in asked.items()),
        ]
        pairs = [
            *(s.pair(model, given, distance) for (model, s), given in asked.items()),
            *(evaluation.pair(name, np.asarray(p), 0.1) for name, p in changed.items()),
            evaluation.pair(ONE_BY_ONE, evaluation.predicted, alone),
        ]
        for name, rows in (by_slice or {}).items():
            spread_here = (spreads or {}).get(name, spread)
            results.append(
                evaluation.result(
                    CANDIDATE, evaluation.predicted, spread_here, rows=rows, slice=name
                )
            )
            for (model, split), given in asked.items():
                if split is evaluation:
                    results.append(split.result(model, given, rows=rows, slice=name))
                    pairs.append(split.pair(model, given, distance, rows, name))
        return Evidence(
            EvaluationConfig(**config),
            EvaluationRecord(
                class_names=tuple(f"c{k}" for k in range(evaluation.size)),
                results=tuple(results),
                pairs=tuple(pairs),
                unjudged_slices=tuple(unjudged),
            ),
            training,
            tuple(upstream),
        )

    return make


@pytest.fixture(scope="session")
def without():
    """Takes the results or pairs of one model or split out of evidence."""
    import dataclasses

    def take(evidence, *, model=None, split=None):
        def stays(result, name):
            return (model or name, split or result.split) != (name, result.split)

        record = evidence.evaluation
        return dataclasses.replace(
            evidence,
            evaluation=record.model_copy(
                update={
                    "results": tuple(r for r in record.results if stays(r, r.model)),
                    "pairs": tuple(p for p in record.pairs if stays(p, p.other)),
                }
            ),
        )

    return take


@pytest.fixture(scope="session")
def diagonal():
    """Makes the confusion matrix of a model with so many hits of so many examples."""

    def make(counts, hits):
        size = len(counts)
        confusion = np.zeros((size, size), int)
        for k, (count, hit) in enumerate(zip(counts, hits, strict=True)):
            confusion[k, k] = hit
            # What is missed spreads over the other classes.
            for i in range(count - hit):
                confusion[k, (k + 1 + i % (size - 1)) % size] += 1
        return confusion

    return make


# What follows is real: examples and models on disk. TensorFlow and TFX are imported
# where they are used, so that tests of pure modules do not load them.


@pytest.fixture(scope="session")
def softmax():
    def of(logits):
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)

    return of


class Blobs:
    """Points around three corners; the labels 0, 1 and 2 are those of the corners."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.labels = np.arange(count) % 3
        self.points = (2 * np.eye(3)[self.labels] + rng.normal(size=(count, 3))).astype(
            np.float32
        )

    def examples(self, example, names=(0, 1, 2)):
        return [
            example(x=point.tolist(), label=names[label])
            for point, label in zip(self.points, self.labels, strict=True)
        ]


@pytest.fixture(scope="session")
def blobs():
    """The points of both splits."""
    return {"train": Blobs(240, seed=1), "eval": Blobs(150, seed=2)}


@pytest.fixture(scope="session")
def examples(tmp_path_factory, write_examples, example, blobs):
    """Both splits as an Examples artifact."""
    records = {split: points.examples(example) for split, points in blobs.items()}
    return write_examples(tmp_path_factory.mktemp("data") / "examples", records)


@pytest.fixture(scope="session")
def save_signatures():
    """Saves functions of points, shape (batch, 3), as signatures of tf.Examples."""
    import tensorflow as tf

    def save(folder, functions):
        module = tf.Module()

        def signature(function):
            @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
            def ask(examples):
                features = {"x": tf.io.FixedLenFeature((3,), tf.float32)}
                outputs = function(tf.io.parse_example(examples, features)["x"])
                return outputs if isinstance(outputs, dict) else {"output": outputs}

            return ask

        made = {name: signature(function) for name, function in functions.items()}
        tf.saved_model.save(module, str(folder), signatures=made)

    return save


@pytest.fixture(scope="session")
def make_model(save_signatures):
    """Makes a Model artifact, with a copy for judging where modes are given."""
    from tfx.types import standard_artifacts

    from components.records.model_card import MODEL_CARD_FILE, ModelCard

    def make(folder, serving, modes=None, labels=(0, 1, 2), batch_size=16):
        save_signatures(folder / "Format-Serving", {"serving_default": serving})
        if modes is not None:
            copy = folder / "Format-TFMA"
            save_signatures(copy, modes)
            card = ModelCard(label_key="label", labels=labels, batch_size=batch_size)
            (copy / MODEL_CARD_FILE).parent.mkdir(exist_ok=True)
            (copy / MODEL_CARD_FILE).write_text(card.to_json())
        model = standard_artifacts.Model()
        model.uri = str(folder)
        return model

    return make


def right(points):
    """What a healthy model answers."""
    import tensorflow as tf

    return tf.nn.softmax(2 * points)


def drifted(points):
    """What it answers where the moving statistics of BatchNorm are far off."""
    import tensorflow as tf

    return tf.nn.softmax(2 * points + tf.constant([9.0, 0.0, 0.0]))


@pytest.fixture(scope="session")
def answers():
    """The functions that models are made of, by name."""
    import tensorflow as tf

    def depends_on_batch(points):
        centred = points - tf.reduce_mean(points, axis=0, keepdims=True)
        return tf.nn.softmax(4 * centred)

    def only_small_batches(points):
        size = tf.shape(points)[0]
        with tf.control_dependencies([tf.debugging.assert_less(size, 2)]):
            return tf.nn.softmax(2 * points)

    def labelled(function):
        def answer(points):
            output = function(points)
            return {"probabilities": output, "label": tf.argmax(output, axis=1)}

        return answer

    return {
        "right": right,
        "drifted": drifted,
        "labelled": labelled(right),
        "drifted and labelled": labelled(drifted),
        "depends on batch": depends_on_batch,
        "only small batches": only_small_batches,
        "not finite": lambda points: right(points) / tf.zeros(()) * 0.0,
        "four": lambda points: tf.nn.softmax(tf.pad(points, [[0, 0], [0, 1]])),
        "one": lambda points: points[:, :1],
        "flat": lambda points: points[:, 0],
        "unknown": lambda points: {"a": points, "b": points},
    }


@pytest.fixture(scope="session")
def models_on_disk(tmp_path_factory, make_model, answers):
    """Model artifacts, made when first asked for: serving answer, mode answers."""
    made = {}

    def get(serving, mode=None):
        if (serving, mode) not in made:
            modes = None
            if mode is not None:
                modes = {
                    "training": answers[mode],
                    "batch_statistics": answers[mode],
                }
            folder = tmp_path_factory.mktemp("model")
            made[serving, mode] = make_model(folder, answers[serving], modes)
        return made[serving, mode]

    return get


class Judged:
    """One run of the executor, and what it wrote."""

    def __init__(self, root, inputs, properties, executor):
        from tfx.types import standard_artifacts

        from components import artifact_io
        from components.artifacts import GuardFindings
        from components.records.blessing import BLESSING_FILE, Blessing

        self.evaluation = standard_artifacts.ModelEvaluation()
        self.blessing = standard_artifacts.ModelBlessing()
        self.findings = GuardFindings()
        outputs = {
            "evaluation": self.evaluation,
            "blessing": self.blessing,
            "findings": self.findings,
        }
        for name, output in outputs.items():
            output.uri = str(root / name)
        context = executor.Context(
            beam_pipeline_args=["--runner=FnApiRunner", "--sdk_container_image=none"],
            tmp_dir=str(root / "tmp"),
            unique_id="1",
        )
        executor(context).Do(
            inputs, {name: [output] for name, output in outputs.items()}, properties
        )
        self.record = Blessing.from_json(
            artifact_io.read_text(self.blessing.uri, BLESSING_FILE)
        )
        self.verdict = self.record.verdict
        assert artifact_io.read_findings(self.findings) == self.verdict

    @property
    def blessed(self):
        """Whether it is blessed; all that say so must agree."""
        import os

        marks = set(os.listdir(self.blessing.uri)) & {"BLESSED", "NOT_BLESSED"}
        said = self.blessing.get_int_custom_property("blessed")
        assert marks == {"BLESSED" if self.record.blessed else "NOT_BLESSED"}
        assert said == int(self.record.blessed)
        return self.record.blessed

    @property
    def measured(self):
        from components import artifact_io
        from components.records.evaluation import EVALUATION_FILE

        return EvaluationRecord.from_json(
            artifact_io.read_text(self.evaluation.uri, EVALUATION_FILE)
        )

    @property
    def causes(self):
        return [finding.cause for finding in self.verdict.blocking]


@pytest.fixture(scope="session")
def judge(tmp_path_factory):
    """Runs the executor on artifacts, one or a list under each name."""
    from tfx.utils import json_utils

    from components.guarded_evaluator.executor import Executor

    def run(
        *,
        executor=Executor,
        label_key="label",
        eval_config=None,
        config=None,
        into=None,
        **inputs,
    ):
        given = {
            name: value if isinstance(value, list) else [value]
            for name, value in inputs.items()
        }
        settings = config or {}
        properties = {
            "label_key": label_key,
            "config": settings
            if isinstance(settings, str)
            else EvaluationConfig(**settings).to_json(),
            "eval_config": eval_config,
            "example_splits": json_utils.dumps(["eval"]),
        }
        root = (
            tmp_path_factory.getbasetemp() / into
            if into
            else tmp_path_factory.mktemp("judged")
        )
        return Judged(root, given, properties, executor)

    return run


@pytest.fixture(scope="session")
def healthy_run(judge, examples, models_on_disk):
    """A healthy model, in two modes, beside a worse one in production."""
    return judge(
        examples=examples,
        model=models_on_disk("labelled", "right"),
        baseline_model=models_on_disk("drifted and labelled"),
    )


@pytest.fixture(scope="session")
def drifted_run(
    tmp_path_factory, judge, write_examples, example, blobs, make_model, answers
):
    """A model with a mode gap and text labels, with findings from the steps before."""
    from components import artifact_io
    from components.artifacts import GuardFindings
    from components.findings import Verdict, find

    folder = tmp_path_factory.mktemp("drifted")
    names = ("ash", "birch", "cedar")
    records = {
        split: b.examples(example, [n.encode() for n in names])
        for split, b in blobs.items()
    }
    leakage, training = GuardFindings(), GuardFindings()
    leakage.uri, training.uri = str(folder / "leakage"), str(folder / "training")
    artifact_io.write_findings(
        leakage, Verdict.of([find("duplicate_leakage", "They are in both splits.")])
    )
    artifact_io.write_text(training.uri, artifact_io.FINDINGS_FILE, '{"findings": 3}')
    modes = {"training": answers["right"], "batch_statistics": answers["right"]}
    return judge(
        examples=write_examples(folder / "examples", records),
        model=make_model(folder / "model", answers["drifted"], modes, names),
        leakage_findings=leakage,
        training_findings=training,
    )
