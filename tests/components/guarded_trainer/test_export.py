# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2

from components.errors import InputError
from components.guarded_trainer import export, modes
from components.guarded_trainer.config import ImageInput
from components.guarded_trainer.head import Head, read_head
from components.guarded_trainer.inputs import ModelInputs
from components.records.model_card import MODEL_CARD_FILE, ModelCard

MODES = ("inference", "training", "batch_statistics")


def network():
    """Noise, dropout, and BatchNorm far from its data."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.GaussianNoise(0.5),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(2, "softmax"),
        ]
    )


def ask(folder, signature, examples):
    signatures = tf.saved_model.load(str(folder)).signatures
    outputs = signatures[signature](tf.constant(examples))
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, rows, model_inputs):
    """A model, both of its exports, and rows to ask them about."""
    folder = tmp_path_factory.mktemp("export")
    made, model = rows(12, 12), network()
    head, _ = read_head(model, 2, tf.constant(made.inputs))
    found = modes.adaptive_layers(model, tf.constant(made.inputs))
    serving, judging = str(folder / "serving"), str(folder / "judging")
    export.export_serving(model, head, model_inputs, (0, 1), serving)
    card = ModelCard(label_key="label", labels=(0, 1), batch_size=8)
    export.export_judging(model, head, model_inputs, found, card, judging)
    return model, head, serving, judging, made


def operations(folder, signature):
    """The operations that a signature can reach, through all functions it calls."""
    saved = saved_model_pb2.SavedModel.FromString(
        Path(folder, "saved_model.pb").read_bytes()
    )
    (graph,) = saved.meta_graphs
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    output = next(iter(graph.signature_def[signature].outputs.values())).name
    nodes = {node.name: node for node in graph.graph_def.node}
    entry = nodes[output.partition(":")[0]]
    found, waiting = {entry.op}, [entry.attr["f"].func.name]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            found.add(node.op)
            for value in node.attr.values():
                waiting += [value.func.name, *(f.name for f in value.list.func)]
    assert len(found) > 5
    return found


def is_random_or_writes(operation):
    return "Random" in operation or "Assign" in operation or "RngS" in operation


def test_serving_has_one_signature_without_randomness_or_writes(exported):
    _, _, serving, _, _ = exported
    loaded = tf.saved_model.load(serving)
    assert list(loaded.signatures) == ["serving_default"]
    found = operations(serving, "serving_default")
    assert not set(filter(is_random_or_writes, found))
    assert "ParseExampleV2" in found
    # Also none that no signature leads to.
    saved = saved_model_pb2.SavedModel.FromString(
        Path(serving, "saved_model.pb").read_bytes()
    )
    everywhere = {
        node.op
        for function in saved.meta_graphs[0].graph_def.library.function
        for node in function.node_def
    }
    assert not {op for op in everywhere if "Random" in op}


def test_judging_has_three_signatures_that_write_nothing(exported):
    _, _, _, judging, _ = exported
    # Keras makes the first one the default as well.
    assert set(tf.saved_model.load(judging).signatures) == {*MODES, "serving_default"}
    assert operations(judging, "serving_default") == operations(judging, "inference")
    for mode in MODES:
        found = operations(judging, mode)
        assert not {op for op in found if "Assign" in op}
        # The check can fail: training mode is random, and is seen to be.
        assert any("Random" in op for op in found) is (mode == "training")


def test_serving_answers_what_was_trained(exported):
    model, head, serving, _, made = exported
    answer = ask(serving, "serving_default", made.serialized)
    expected = head.probabilities(model.predict(made.inputs, verbose=0)).numpy()
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    np.testing.assert_array_equal(answer["label"], expected.argmax(axis=1))
    assert answer["probabilities"].dtype == np.float32


@pytest.mark.parametrize("count", [0, 1])
def test_serving_answers_batches_of_any_size(exported, count):
    _, _, serving, _, made = exported
    examples = tf.constant(made.serialized[:count], tf.string)
    answer = ask(serving, "serving_default", examples)
    assert answer["probabilities"].shape == (count, 2)
    assert answer["label"].shape == (count,)


def test_serving_answers_without_this_project(exported, tmp_path):
    """The project is installed editable here, so its packages are hidden."""
    model, head, serving, _, made = exported
    (tmp_path / "examples").write_bytes(made.serialized[0])
    program = """
        import sys

        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("components", "pipeline"):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Hide())
        import tensorflow as tf
        model = tf.saved_model.load(sys.argv[1])
        examples = tf.constant([open("examples", "rb").read()])
        answer = model.signatures["serving_default"](examples)
        print(*answer["probabilities"].numpy()[0], answer["label"].numpy()[0])
        assert not {"components", "pipeline"} & set(sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(program), serving],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = list(map(float, done.stdout.split()))
    expected = head.probabilities(model.predict(made.inputs[:1], verbose=0)).numpy()[0]
    np.testing.assert_allclose(answer[:2], expected, atol=1e-6)
    assert answer[2] == expected.argmax()


def test_modes_differ_as_they_should(exported):
    model, head, _, judging, made = exported
    answers = {
        mode: ask(judging, mode, made.serialized)["probabilities"] for mode in MODES
    }
    expected = head.probabilities(model.predict(made.inputs, verbose=0))
    np.testing.assert_allclose(answers["inference"], expected, atol=1e-6)
    for one, other in itertools.combinations(MODES, 2):
        assert np.abs(answers[one] - answers[other]).max() > 0.01


def test_batch_statistics_mode_is_training_mode_without_noise(
    tmp_path, rows, model_inputs
):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.GaussianNoise(0.0),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.0),
            layers.Dense(2, "softmax"),
        ]
    )
    made = rows(12, 12)
    inputs = tf.constant(made.inputs)
    head = Head(2, 2, logits=False, one_hot=False)
    card = ModelCard(label_key="label", labels=(0, 1), batch_size=8)
    export.export_judging(
        model,
        head,
        model_inputs,
        modes.adaptive_layers(model, inputs),
        card,
        str(tmp_path),
    )
    answers = {
        mode: ask(tmp_path, mode, made.serialized)["probabilities"] for mode in MODES
    }
    expected = head.probabilities(model(inputs, training=True))
    np.testing.assert_allclose(answers["training"], expected, atol=1e-5)
    np.testing.assert_allclose(answers["batch_statistics"], expected, atol=1e-5)
    dense, norm, last = (model.layers[i] for i in (1, 2, 4))
    hidden = np.maximum(made.inputs @ dense.kernel.numpy(), 0)
    normal = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + norm.epsilon)
    by_hand = head.probabilities(tf.nn.softmax(normal @ last.kernel.numpy()))
    np.testing.assert_allclose(answers["batch_statistics"], by_hand, atol=1e-5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, example):
    """An exported image model that augments, and examples to ask it about."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip(),
            layers.RandomRotation(0.2),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.GaussianNoise(0.1),
            layers.Dense(3),
        ]
    )
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (10, 6, 6, 1), np.uint8)
    serialized = [example(f=tf.io.encode_png(x).numpy(), label=0) for x in pixels]
    inputs = ModelInputs({}, {}, ImageInput(feature="f", height=6, width=6, channels=1))
    batch = inputs.parse(tf.constant(serialized))
    head, _ = read_head(model, 3, batch)
    folder = str(tmp_path_factory.mktemp("pictures"))
    card = ModelCard(
        label_key="label",
        labels=("a", "b", "c"),
        batch_size=4,
        batch_norm_layers=("x",),
    )
    found = modes.adaptive_layers(model, batch)
    export.export_judging(model, head, inputs, found, card, folder)
    return folder, serialized, card


def test_judging_changes_nothing_however_often_it_is_asked(exported, pictures, example):
    _, _, _, judging, made = exported
    broken = [example(n=0, x=[np.nan, np.inf], label=0)] * 5
    for folder, batches in [
        (judging, [made.serialized, made.serialized[:5], broken]),
        (pictures[0], [pictures[1], pictures[1][:3]]),
    ]:
        loaded = tf.saved_model.load(folder)
        before = [v.numpy() for v in loaded.variables]
        calls = [(m, i) for m in MODES for i in range(len(batches))] * 3
        np.random.default_rng(0).shuffle(calls)
        answers = {}
        for mode, i in calls:
            mode, i = str(mode), int(i)
            outputs = loaded.signatures[mode](tf.constant(batches[i]))
            answer = outputs["probabilities"].numpy()
            np.testing.assert_array_equal(answers.setdefault((mode, i), answer), answer)
        for old, variable in zip(before, loaded.variables, strict=True):
            np.testing.assert_array_equal(old, variable.numpy())


def test_exporting_does_not_change_the_model(exported):
    model, *_ = exported
    again = network()
    for old, new in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "call" not in vars(model.layers[2])


def test_card_stands_beside_the_copy_for_judging(pictures):
    folder, _, card = pictures
    assert ModelCard.from_json(Path(folder, MODEL_CARD_FILE).read_text()) == card


@pytest.mark.parametrize(
    ("labels", "dtype"), [((-3, 7), np.int64), (("Zürich", "bee"), object)]
)
def test_label_stands_as_in_the_data(tmp_path, rows, model_inputs, labels, dtype):
    made = rows(3, 3)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.layers[0].kernel.assign([[0.0], [1.0], [-1.0]])
    model.layers[0].bias.assign([-3.0])
    head, _ = read_head(model, 2, tf.constant(made.inputs))
    export.export_serving(model, head, model_inputs, labels, str(tmp_path))
    answer = ask(tmp_path, "serving_default", made.serialized)["label"]
    assert answer.dtype == dtype
    texts = [x.decode() if isinstance(x, bytes) else int(x) for x in answer]
    assert texts == [labels[k] for k in made.class_ids]


def parity(model, head, inputs, made, folders):
    exported = {name: (folder, "serving_default") for name, folder in folders.items()}
    return export.check_parity(
        model, head, inputs, np.array(made.serialized, object), exported
    )


def test_identical_export_passes(exported, model_inputs):
    model, head, serving, judging, made = exported
    difference, findings = export.check_parity(
        model,
        head,
        model_inputs,
        np.array(made.serialized, object),
        {
            "serving": (serving, export.SERVING_SIGNATURE),
            "judging": (judging, export.INFERENCE_SIGNATURE),
        },
    )
    assert difference < 1e-6
    assert findings == ()


def test_weights_that_were_lost_block(exported, model_inputs):
    _, head, serving, _, made = exported
    other = network()
    other.layers[-1].bias.assign([1.0, -1.0])
    difference, findings = parity(other, head, model_inputs, made, {"serving": serving})
    (finding,) = findings
    assert (finding.cause, finding.blocks) == ("export_mismatch", True)
    assert finding.subject.model == "serving"
    assert finding.measured == difference > 0.1
    assert finding.limit == export.PARITY_TOLERANCE


def test_preprocessing_applied_twice_blocks(exported, model_inputs):
    class Scaled(ModelInputs):
        def assemble(self, parsed):
            return super().assemble(parsed) / 255

    model, head, serving, _, made = exported
    scaled = Scaled(model_inputs.sizes, model_inputs.dtypes, None)
    _, findings = parity(model, head, scaled, made, {"serving": serving})
    assert [finding.cause for finding in findings] == ["export_mismatch"]


def with_bias(bias):
    """A model that answers the same to everything."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, "sigmoid")])
    model.layers[0].kernel.assign(np.zeros((3, 1)))
    model.layers[0].bias.assign([bias])
    return model


@pytest.mark.parametrize(
    ("stored", "trained", "blocks"),
    [
        pytest.param(np.nan, np.nan, False, id="nan-on-both-sides"),
        pytest.param(np.nan, 0.0, True, id="nan-in-the-export"),
        pytest.param(0.0, np.nan, True, id="nan-in-training"),
        pytest.param(0.0, 0.0039, False, id="below-the-limit"),
        pytest.param(0.0, 0.0041, True, id="above-the-limit"),
    ],
)
def test_difference_is_held_against_the_limit(
    tmp_path, rows, model_inputs, stored, trained, blocks
):
    # A sigmoid has slope 1/4 at 0, so that 0.004 moves a probability by the limit.
    head = Head(2, 1, logits=False, one_hot=False)
    export.export_serving(with_bias(stored), head, model_inputs, (0, 1), str(tmp_path))
    difference, findings = parity(
        with_bias(trained), head, model_inputs, rows(2, 2), {"serving": str(tmp_path)}
    )
    assert bool(findings) is blocks
    if blocks and np.isnan(stored + trained):
        assert np.isnan(difference)
        assert findings[0].measured is None


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float32", export.PARITY_TOLERANCE),
        ("mixed_float16", export.HALF_PRECISION_TOLERANCE),
        ("mixed_bfloat16", export.HALF_PRECISION_TOLERANCE),
    ],
)
def test_half_precision_may_differ_more(
    tmp_path, rows, model_inputs, policy, tolerance
):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(64, "relu"), layers.Dense(2, "softmax")]
    )
    made = rows(50, 50)
    head, _ = read_head(model, 2, tf.constant(made.inputs))
    assert export.tolerance(model) == tolerance
    export.export_serving(model, head, model_inputs, (0, 1), str(tmp_path))
    _, findings = parity(model, head, model_inputs, made, {"serving": str(tmp_path)})
    assert findings == ()
    answer = ask(tmp_path, "serving_default", made.serialized)["probabilities"]
    assert answer.dtype == np.float32


def test_parity_of_nothing_is_refused(exported, model_inputs):
    model, head, _, _, _ = exported
    with pytest.raises(InputError, match="export check: expected examples .*at least"):
        export.check_parity(model, head, model_inputs, np.array([], object), {})
