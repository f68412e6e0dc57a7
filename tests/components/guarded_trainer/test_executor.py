# SPDX-License-Identifier: Apache-2.0
import os
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import artifact_io
from components.artifacts import ClassWeights, GuardFindings
from components.errors import InputError
from components.guarded_trainer.config import ImageInput, InputConfig, TrainingConfig
from components.guarded_trainer.executor import Executor
from components.guarded_trainer.user_code import own_loop, references
from components.labels import ClassTable
from components.records.model_card import MODEL_CARD_FILE, ModelCard
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

SCHEMA = """
    feature { name: "label" type: %s }
    feature { name: "n" type: INT shape { dim { size: 1 } } }
    feature { name: "x" type: FLOAT shape { dim { size: 2 } } }
"""
TEXTS = [b"no", b"yes"]
BUILD = """
    import keras
    from keras import layers

    def build_model(context):
        normalize = layers.Normalization()
        normalize.adapt(context.train_inputs)
        return keras.Sequential([
            keras.Input(context.input_shape),
            normalize,
            layers.Dense(context.hyperparameters.get("units", 8), "relu"),
            layers.BatchNormalization(),
            layers.Dense(context.num_classes, "softmax"),
        ])
"""


def artifact(kind, folder):
    made = kind()
    made.uri = str(folder)
    os.makedirs(made.uri)
    return made


def examples_of(folder, records, split="train"):
    examples = artifact(standard_artifacts.Examples, folder)
    examples.splits = [split]
    path = folder / f"Split-{split}"
    path.mkdir()
    # Two shards; the second has the rest.
    for i, shard in enumerate(
        [records[: len(records) // 3], records[len(records) // 3 :]]
    ):
        name = str(path / f"data_tfrecord-0000{i}-of-00002.gz")
        with tf.io.TFRecordWriter(name, "GZIP") as writer:
            for record in shard:
                writer.write(record)
    return examples


@pytest.fixture
def train(tmp_path):
    """Runs the executor on records; returns the output artifacts by name.

    What is refused before training must leave nothing behind.
    """

    def run(
        records,
        schema,
        code=BUILD,
        table=None,
        split="train",
        inputs=None,
        refused_early=True,
        **kw,
    ):
        source = tmp_path / "model.py"
        source.write_text(textwrap.dedent(code))
        schema_artifact = artifact(standard_artifacts.Schema, tmp_path / "schema")
        Path(schema_artifact.uri, "schema.pbtxt").write_text(schema)
        input_dict = {
            "examples": [examples_of(tmp_path / "examples", records, split)],
            "schema": [schema_artifact],
        }
        if table:
            weights = artifact(ClassWeights, tmp_path / "weights")
            artifact_io.write_class_table(weights, table)
            input_dict["class_weights"] = [weights]
        outputs = {
            "model": artifact(standard_artifacts.Model, tmp_path / "model"),
            "model_run": artifact(standard_artifacts.ModelRun, tmp_path / "run"),
            "findings": artifact(GuardFindings, tmp_path / "findings"),
        }
        config = {"epochs": 2, "batch_size": 16, **kw.pop("config", {})}
        properties = {
            "build_model": str(source),
            "source_sha256": references.source_digest(str(source)),
            "inputs": (inputs or InputConfig(label_key="label")).to_json(),
            "config": TrainingConfig(**config).to_json(),
            **kw,
        }
        try:
            Executor().Do(input_dict, {k: [v] for k, v in outputs.items()}, properties)
        except InputError:
            kept = set() if refused_early else {"model_run"}
            for name in outputs.keys() - kept:
                assert list(Path(outputs[name].uri).iterdir()) == []
            raise
        return outputs

    return run


def record_of(outputs):
    return TrainingRecord.from_json(
        artifact_io.read_text(outputs["model_run"].uri, TRAINING_RECORD_FILE)
    )


def answers(outputs, records):
    folder = path_utils.serving_model_path(outputs["model"].uri)
    signatures = tf.saved_model.load(folder).signatures
    return signatures["serving_default"](tf.constant(records))


def test_numbers_with_text_labels_and_weights(train, rows):
    made = rows(150, 60, labels=TEXTS)
    table = ClassTable(
        label_key="label",
        labels=("no", "yes"),
        train_counts=(150, 60),
        weights=(0.7, 1.75),
    )
    outputs = train(
        made.serialized,
        SCHEMA % "BYTES",
        table=table,
        config={
            "epochs": 8,
            "learning_rate": 0.05,
            "min_held_out": 10,
            "hyperparameters": {"units": 5},
        },
    )
    verdict = artifact_io.read_findings(outputs["findings"])
    assert verdict.passed
    assert outputs["findings"].get_int_custom_property("passed") == 1
    record = record_of(outputs)
    assert record.class_names == ("no", "yes")
    assert record.num_train_examples + record.num_held_out == 210
    assert record.num_held_out >= 10
    # 2 x 3 + 1 of the normalisation, 4 x 5, 4 x 5, 6 x 2.
    assert record.num_parameters == 7 + 20 + 20 + 12
    assert record.batch_size == 16
    assert len(record.batch_norm) == 1
    assert record.export_max_difference < 1e-4
    assert record.findings == verdict.findings
    assert len(record.epochs) == 8
    answer = answers(outputs, made.serialized)
    right = [TEXTS[k] for k in made.class_ids]
    assert np.mean(answer["label"].numpy() == right) > 0.9
    card = ModelCard.from_json(
        Path(
            path_utils.eval_model_path(outputs["model"].uri), MODEL_CARD_FILE
        ).read_text()
    )
    assert card.labels == ("no", "yes")
    assert card.batch_size == 16
    assert [name.rpartition("/")[2] for name in card.batch_norm_layers] == [
        record.batch_norm[0].layer.rpartition("/")[2]
    ]
    assert list(Path(outputs["model_run"].uri, "logs").rglob("events.*"))


def test_images_without_weights(train, example):
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    records = []
    for k in labels:
        pixels = random.integers(0, 60, (8, 8, 1)) + 90 * k
        image = tf.io.encode_png(pixels.astype(np.uint8)).numpy()
        records.append(example(image=image, label=int(k) + 5))
    schema = """
        feature { name: "label" type: INT }
        feature { name: "image" type: BYTES }
    """
    code = """
        import keras
        from keras import layers

        class Net(keras.Model):
            def __init__(self, classes):
                super().__init__()
                self.scale = layers.Rescaling(1 / 255)
                self.flip = layers.RandomFlip()
                self.conv = layers.Conv2D(4, 3)
                self.norm = layers.BatchNormalization()
                self.pool = layers.GlobalAveragePooling2D()
                self.end = layers.Dense(classes)

            def call(self, inputs, training=False):
                x = self.conv(self.flip(self.scale(inputs), training=training))
                return self.end(self.pool(self.norm(x, training=training)))

        def build_model(context):
            assert context.input_shape == (6, 6, 3)
            return Net(context.num_classes)
    """
    outputs = train(
        records,
        schema,
        code,
        inputs=InputConfig(
            label_key="label", image=ImageInput(feature="image", height=6, width=6)
        ),
    )
    record = record_of(outputs)
    assert record.class_names == ("5", "6", "7")
    # Too few to hold out.
    assert (record.num_train_examples, record.num_held_out) == (90, 0)
    assert record.export_max_difference < 1e-4
    assert answers(outputs, records[:4])["probabilities"].shape == (4, 3)
    assert set(answers(outputs, records)["label"].numpy()) <= {5, 6, 7}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param(
            "import keras\ndef build_model(context): return keras.nothing",
            r"model\.py:2: build_model\(context\) failed with AttributeError",
            id="build",
        ),
        pytest.param(
            """
            import keras
            def build_model(context):
                return keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])
            """,
            r"model\.py: calling the model on its inputs failed with ValueError: "
            "[^\x1b]*incompatible[^\x1b]*mend",
            id="input-shape",
        ),
        pytest.param(
            """
            import keras
            class Net(keras.Model):
                def call(self, inputs):
                    return inputs["x"]
            def build_model(context):
                return Net()
            """,
            r"model\.py:5: calling the model on its inputs failed with",
            id="call",
        ),
        pytest.param(
            """
            import keras
            def build_model(context):
                return keras.Sequential([keras.layers.Dense(context.num_classes + 1)])
            """,
            "expected 2 outputs, one per class, but the model has 3",
            id="units",
        ),
    ],
)
def test_model_that_cannot_be_used_is_refused(train, rows, code, message):
    with pytest.raises(InputError, match=message):
        train(rows(9, 9).serialized, SCHEMA % "INT", code)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda rows: rows(0, 0), "the split is empty", id="empty"),
        pytest.param(lambda rows: rows(9), "at least two classes", id="one-class"),
        pytest.param(
            lambda rows: rows(2, 2, labels=TEXTS), "label 'label'", id="text-labels"
        ),
    ],
)
def test_data_that_cannot_be_used_are_refused(train, rows, make, message):
    with pytest.raises(InputError, match=message):
        train(make(rows).serialized, SCHEMA % "INT")


def test_examples_without_a_training_split_are_refused(train, rows):
    with pytest.raises(InputError, match="expected a split 'train', .*have eval; name"):
        train(rows(2, 2).serialized, SCHEMA % "INT", split="eval")


def test_code_that_has_changed_is_refused(train, rows):
    with pytest.raises(InputError, match="have changed since"):
        train(rows(2, 2).serialized, SCHEMA % "INT", source_sha256="0" * 64)


def test_error_in_the_train_step_is_located(train, rows):
    code = """
        import keras
        class Net(keras.Sequential):
            def train_step(self, data):
                return {"loss": data["x"]}
        def build_model(context):
            return Net([keras.layers.Dense(context.num_classes)])
    """
    with pytest.raises(InputError, match=r"model\.py:5: training the model failed"):
        train(rows(20, 20).serialized, SCHEMA % "INT", code, refused_early=False)


def test_loss_that_does_not_fit_blocks(train, rows):
    code = """
        import keras
        def build_model(context):
            model = keras.Sequential([keras.layers.Dense(context.num_classes)])
            model.compile("adam", "sparse_categorical_crossentropy")
            return model
    """
    outputs = train(rows(20, 20).serialized, SCHEMA % "INT", code)
    verdict = artifact_io.read_findings(outputs["findings"])
    assert verdict.blocking[0].cause == "loss_mismatch"
    assert outputs["findings"].get_int_custom_property("passed") == 0


def test_precision_of_one_model_is_not_that_of_the_next(train, rows):
    code = """
        import keras
        def build_model(context):
            keras.config.set_dtype_policy("mixed_float16")
            return keras.Sequential([keras.layers.Dense(2, "softmax")])
    """
    outputs = train(rows(20, 20).serialized, SCHEMA % "INT", code)
    assert keras.config.dtype_policy().name == "float32"
    assert record_of(outputs).export_max_difference < 0.03


def test_parity_that_cannot_be_checked_blocks(train, rows, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "load", fail)
    outputs = train(rows(20, 20).serialized, SCHEMA % "INT")
    verdict = artifact_io.read_findings(outputs["findings"])
    assert [finding.cause for finding in verdict.blocking] == ["check_failed"]
    assert "Export parity could not run: OSError: disk full" in str(verdict)
    assert record_of(outputs).export_max_difference is None


WITH_PREPROCESS = """
    import keras
    import tensorflow as tf

    HYPERPARAMETERS = {"units": 4, "noise": 0.1}

    def preprocess(context):
        assert context.input_shape == (3,)
        normalize = keras.layers.Normalization()
        normalize.adapt(context.train_inputs)
        # What the running number says is left out.
        return lambda x: normalize(x)[:, 1:]

    def augment(context):
        noise = context.hyperparameters["noise"]
        return lambda x, seed: x + noise * tf.random.stateless_normal(tf.shape(x), seed)

    def build_model(context):
        assert context.input_shape == (2,)
        assert context.hyperparameters == {"units": 6, "noise": 0.1}
        means = [tf.reduce_mean(x) for x in context.train_inputs]
        tf.debugging.assert_less(tf.abs(means), 2.0)
        return keras.Sequential([
            keras.Input(context.input_shape),
            keras.layers.Dense(context.hyperparameters["units"], "relu"),
            keras.layers.Dense(context.num_classes, "softmax"),
        ])
"""


def test_preprocessing_is_in_training_and_in_both_exports(train, rows):
    made = rows(60, 60, spread=0.5)
    outputs = train(
        made.serialized,
        SCHEMA % "INT",
        WITH_PREPROCESS,
        config={
            "epochs": 15,
            "learning_rate": 0.05,
            "hyperparameters": {"units": 6},
        },
    )
    verdict = artifact_io.read_findings(outputs["findings"])
    assert verdict.passed, verdict
    record = record_of(outputs)
    assert record.export_max_difference < 1e-5
    assert record.num_parameters == 2 * 6 + 6 + 6 * 2 + 2
    answer = answers(outputs, made.serialized)
    assert np.mean(answer["label"].numpy() == made.class_ids) > 0.95
    judging = tf.saved_model.load(path_utils.eval_model_path(outputs["model"].uri))
    judged = judging.signatures["inference"](tf.constant(made.serialized))
    np.testing.assert_allclose(
        judged["probabilities"], answer["probabilities"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        pytest.param(
            ("[:, 1:]", "[:, 1:] + tf.random.normal(())"),
            {},
            "it is random",
            id="random",
        ),
        pytest.param(
            ("return lambda x: normalize(x)[:, 1:]", "1 / 0"),
            {},
            r"model\.py:12: preprocess\(context\) failed with ZeroDivisionError",
            id="raises",
        ),
        pytest.param(
            ("tf.shape(x), seed)", "(3, 3), seed)"),
            {},
            r"model\.py:\d+: augmenting a batch failed",
            id="augment",
        ),
        pytest.param(
            ("[:, 1:]", "[:, 1:] / 0"),
            {},
            "the inputs that `preprocess` returns: expected finite numbers",
            id="not-finite",
        ),
        pytest.param(
            ("", ""),
            {"hyperparameters": {"unit": 6}},
            "training.hyperparameters: .*but got 'unit'; did you mean 'units'",
            id="misspelt",
        ),
        pytest.param(
            ("", ""),
            {"augmentation": {"preset": "light"}},
            r"`augment` of .*model\.py.*'light'",
            id="both",
        ),
    ],
)
def test_code_beside_build_model_is_tried_first(train, rows, change, config, message):
    with pytest.raises(InputError, match=message):
        train(
            rows(30, 30).serialized,
            SCHEMA % "INT",
            WITH_PREPROCESS.replace(*change),
            config=config,
        )


def test_checkpoints_lie_beside_the_executions_and_are_removed(
    train, rows, tmp_path, monkeypatch
):
    from components.guarded_trainer import fit

    folders = []
    checkpoints = fit.Checkpoints

    def watched(folder, key):
        folders.append(folder)
        return checkpoints(folder, key)

    monkeypatch.setattr(fit, "Checkpoints", watched)
    train(rows(20, 20).serialized, SCHEMA % "INT")
    (folder,) = folders
    assert Path(folder).parents[1] == tmp_path.parent / ".checkpoints"
    assert not Path(folder).exists()


RUN_FN = """
    import keras
    import tensorflow as tf
    from components import export_guarded, fit_guarded
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx.utils import io_utils
    from tfx_bsl.public import tfxio

    SPEC = {"n": tf.io.FixedLenFeature([1], tf.int64),
            "x": tf.io.FixedLenFeature([2], tf.float32)}

    def run_fn(fn_args):
        assert (fn_args.train_steps, fn_args.eval_steps) == (5, 2)
        assert fn_args.custom_config == {"units": 6}
        def read(files):
            options = tfxio.TensorFlowDatasetOptions(batch_size=20, label_key="label")
            schema = io_utils.parse_pbtxt_file(
                fn_args.schema_path, schema_pb2.Schema()
            )
            return fn_args.data_accessor.tf_dataset_factory(files, options, schema)
        def model():
            x = keras.Input((2,), name="x")
            n = keras.Input((1,), name="n")
            joined = keras.layers.Concatenate()([x, keras.layers.Rescaling(0.01)(n)])
            hidden = keras.layers.Dense(fn_args.custom_config["units"], "relu")(joined)
            outputs = keras.layers.Dense(2, "softmax")(hidden)
            model = keras.Model({"n": n, "x": x}, outputs)
            adam = keras.optimizers.Adam(0.05)
            model.compile(adam, "sparse_categorical_crossentropy")
            return model
        def inputs(x, y):
            dense = {"n": tf.cast(x["n"], tf.float32), "x": x["x"]}
            return dense, tf.reshape(y, (-1,))
        model = model()
        fit_guarded(
            model, read(fn_args.train_files).map(inputs),
            read(fn_args.eval_files).map(inputs), epochs=20,
            steps_per_epoch=fn_args.train_steps, validation_steps=fn_args.eval_steps,
            log_dir=fn_args.model_run_dir,
        )
        def parse(serialized):
            return inputs(tf.io.parse_example(serialized, SPEC), 0)[0]
        export_guarded(model, fn_args, parse, label_key="label", labels=(0, 1))
"""


@pytest.fixture
def run(tmp_path, rows):
    """Runs the executor with a `run_fn`."""
    made = rows(60, 60)

    def call(code, splits=("train", "eval")):
        source = tmp_path / "loop.py"
        source.write_text(textwrap.dedent(code))
        examples = examples_of(tmp_path / "examples", made.serialized, splits[0])
        for split in splits[1:]:
            other = examples_of(tmp_path / split, made.serialized[::2], split)
            Path(other.uri, f"Split-{split}").rename(
                Path(examples.uri, f"Split-{split}")
            )
        examples.splits = list(splits)
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")
        schema_artifact = artifact(standard_artifacts.Schema, tmp_path / "schema")
        # As TFXIO wants it, to make dense tensors.
        always = "presence { min_fraction: 1 } shape"
        text = (SCHEMA % "INT shape { dim { size: 1 } }").replace("shape", always)
        Path(schema_artifact.uri, "schema.pbtxt").write_text(text)
        outputs = {
            "model": artifact(standard_artifacts.Model, tmp_path / "model"),
            "model_run": artifact(standard_artifacts.ModelRun, tmp_path / "run"),
            "findings": artifact(GuardFindings, tmp_path / "findings"),
        }
        Executor().Do(
            {"examples": [examples], "schema": [schema_artifact]},
            {k: [v] for k, v in outputs.items()},
            {
                "build_model": "",
                "run_fn": str(source),
                "source_sha256": references.source_digest(str(source)),
                "run_fn_args": '{"train_steps": 5, "eval_steps": 2, '
                '"custom_config": {"units": 6}}',
            },
        )
        return outputs, made

    return call


def test_run_fn_that_calls_fit_guarded(run):
    outputs, made = run(RUN_FN)
    verdict = artifact_io.read_findings(outputs["findings"])
    assert verdict.passed, verdict
    record = record_of(outputs)
    assert (record.num_train_examples, record.num_held_out) == (100, 40)
    assert record.export_max_difference < 1e-5
    assert record.findings == verdict.findings
    answer = answers(outputs, made.serialized)
    assert np.mean(answer["label"].numpy() == made.class_ids) > 0.9
    assert path_utils.eval_model_path(outputs["model"].uri).endswith("Format-TFMA")


def test_run_fn_that_never_calls_fit_guarded_blocks(run):
    outputs, _ = run(
        """
        import keras

        def run_fn(fn_args):
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
            model.export(fn_args.serving_model_dir, verbose=False)
        """
    )
    (finding,) = artifact_io.read_findings(outputs["findings"]).blocking
    assert finding.cause == "check_failed"
    assert "left no training_record.json" in finding.message
    assert "log_dir=fn_args.model_run_dir" in finding.remedy


@pytest.mark.parametrize(
    ("code", "splits", "message"),
    [
        pytest.param(
            "def run_fn(fn_args):\n    1 / 0\n",
            ("train", "eval"),
            r"loop\.py:2: run_fn\(fn_args\) failed with ZeroDivisionError",
            id="raises",
        ),
        pytest.param(
            "def run_fn(fn_args): ...\n",
            ("train", "eval"),
            r"loop\.py:1: expected run_fn to write a SavedModel",
            id="no-model",
        ),
        pytest.param(
            "def build(fn_args): ...\n",
            ("train", "eval"),
            "expected a function 'run_fn', but the file has build",
            id="no-function",
        ),
        pytest.param(
            "def run_fn(fn_args): ...\n", ("train",), "a split 'eval'", id="no-eval"
        ),
    ],
)
def test_run_fn_that_cannot_be_used_is_refused(run, code, splits, message):
    with pytest.raises(InputError, match=message):
        run(code, splits)


def test_a_broken_record_blocks(tmp_path):

    (tmp_path / TRAINING_RECORD_FILE).write_text('{"seed": 3}')
    (finding,) = own_loop.findings_of(str(tmp_path))
    assert finding.blocks
    assert "fields are wrong" in finding.message
