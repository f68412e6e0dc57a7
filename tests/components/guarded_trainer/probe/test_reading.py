# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer import modes
from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.reading import Probe

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(1.0, 2.0, (48, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 48)
SOFTMAX = Head(3, 3, logits=False, one_hot=False)
LOGITS = Head(3, 3, logits=True, one_hot=False)


def sequential(*end, shape=(5,), name="m"):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input(shape), *end], name=name)


def set_weights(layer, weights):
    layer.set_weights([np.array(x, np.float32) for x in weights])


def make(model, head=SOFTMAX, inputs=X, class_ids=Y, **options):
    adaptive = modes.adaptive_layers(model, tf.nest.map_structure(tf.constant, inputs))
    return Probe(model, head, inputs, class_ids, adaptive, **options)


def read(*arguments, **options):
    return make(*arguments, **options).read()


def by_layer(reading):
    return {layer.layer.split("/")[-1]: layer for layer in reading.layers}


def test_losses_and_accuracies_are_those_of_keras():
    model = sequential(layers.Dense(8, "relu"), layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    found = read(model, batch_size=20)
    assert found.num_examples == 48
    assert found.inference_loss == pytest.approx(loss, rel=1e-5)
    assert found.training_loss == pytest.approx(loss, rel=1e-5)
    assert found.inference_accuracy == pytest.approx(accuracy)
    assert found.training_accuracy == pytest.approx(accuracy)
    predicted = model.predict(X, verbose=0)
    shares = np.bincount(predicted.argmax(1), minlength=3) / 48
    assert found.predicted_shares == pytest.approx(tuple(shares))
    assert found.true_shares == pytest.approx(tuple(np.bincount(Y) / 48))
    assert found.output_spread == pytest.approx(predicted.std(axis=0).max(), rel=1e-5)
    for k, recall in enumerate(found.recalls):
        assert recall == pytest.approx((predicted.argmax(1)[Y == k] == k).mean())


def test_gradients_are_those_of_the_first_training_batch():
    model = sequential(layers.Dense(8, "tanh", name="a"), layers.Dense(3, name="b"))
    found = by_layer(read(model, LOGITS, batch_size=16))
    with tf.GradientTape() as tape:
        outputs = model(X[:16], training=True)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(Y[:16], outputs)
        )
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for i, name in enumerate("ab"):
        parts = [np.ravel(g) for g in gradients[2 * i : 2 * i + 2]]
        flat = np.concatenate(parts)
        assert found[name].gradient_norm == pytest.approx(
            np.linalg.norm(flat), rel=1e-5
        )
        assert found[name].gradient_mean == pytest.approx(np.abs(flat).mean(), rel=1e-5)
        weights = np.concatenate([np.ravel(v) for v in model.layers[i].weights])
        assert found[name].weight_norm == pytest.approx(
            np.linalg.norm(weights), rel=1e-5
        )


@pytest.mark.parametrize("batch_size", [7, 16, 48, 500])
def test_outputs_are_pooled_over_all_pieces(batch_size):
    model = sequential(
        layers.Dense(8, "relu", name="a"), layers.Dense(3, "softmax", name="b")
    )
    hidden = np.asarray(model.layers[0](X), np.float64)
    found = by_layer(read(model, batch_size=batch_size))["a"]
    assert found.output_mean == pytest.approx(hidden.mean(), rel=1e-5)
    assert found.output_std == pytest.approx(hidden.std(), rel=1e-5)


def test_standard_deviation_survives_a_large_mean():
    model = sequential(layers.Dense(2, name="a"), layers.Dense(3, "softmax"))
    set_weights(model.layers[0], [1e-2 * np.ones((5, 2)), 1e4 * np.ones(2)])
    hidden = np.asarray(model.layers[0](X), np.float64)
    found = by_layer(read(model))["a"]
    assert found.output_std == pytest.approx(hidden.std(), rel=1e-2)


@pytest.mark.parametrize(
    "relu",
    [
        pytest.param([layers.Dense(4, "relu", name="a")], id="dense"),
        pytest.param([layers.Dense(4, "relu6", name="a")], id="relu6"),
        pytest.param([layers.Dense(4), layers.ReLU(name="a")], id="layer"),
        pytest.param(
            [layers.Dense(4), layers.ReLU(threshold=0.5, name="a")], id="threshold"
        ),
        pytest.param([layers.Dense(4), layers.Activation("relu", name="a")], id="name"),
    ],
)
def test_dead_units_answer_0_to_the_whole_probe(relu):
    model = sequential(*relu, layers.Dense(3, "softmax"))
    kernel = np.zeros((5, 4))
    kernel[0, 1] = kernel[0, 2] = 1.0
    # Dead; alive; alive for one example only; dead by a hair.
    top = np.sort(X[:, 0])[-2:].mean()
    set_weights(model.layers[0], [kernel, [-1.0, 9.0, 0.5 - top, 0.0]])
    if relu[-1].__class__ is not layers.ReLU or not relu[-1].threshold:
        set_weights(model.layers[0], [kernel, [-1.0, 9.0, -top, 0.0]])
    found = by_layer(read(model, batch_size=10))
    assert found["a"].dead_share == 0.5
    assert found["a"].saturated_share is None


@pytest.mark.parametrize("last", [layers.LeakyReLU(), layers.ReLU(negative_slope=0.1)])
def test_leaky_units_cannot_die(last):
    model = sequential(layers.Dense(4), last, layers.Dense(3, "softmax"))
    assert all(layer.dead_share is None for layer in read(model).layers)


def test_channels_are_the_units_of_a_convolution():
    images = RANDOM.normal(size=(12, 6, 6, 1)).astype(np.float32)
    model = sequential(
        layers.Conv2D(4, 3, activation="relu", name="a"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, "softmax"),
        shape=(6, 6, 1),
    )
    kernel, _ = model.layers[0].get_weights()
    set_weights(model.layers[0], [kernel, [-100, 0, 0, 0]])
    found = by_layer(read(model, inputs=images, class_ids=Y[:12], batch_size=5))
    assert found["a"].dead_share == 0.25


@pytest.mark.parametrize(("name", "limit"), [("tanh", 3.0), ("sigmoid", 6.0)])
def test_saturated_units_are_flat_for_nearly_the_whole_probe(name, limit):
    inputs = np.ones((20, 1), np.float32)
    inputs[0] = 0.0
    model = sequential(
        layers.Dense(4, name, name="a"), layers.Dense(3, "softmax"), shape=(1,)
    )
    # Flat but for one in twenty; on the other side; not quite; not at all.
    kernel = [[1.01 * limit, -1.01 * limit, 0.99 * limit, 0.0]]
    set_weights(model.layers[0], [kernel, np.zeros(4)])
    found = by_layer(read(model, inputs=inputs, class_ids=Y[:20], batch_size=6))["a"]
    assert found.saturated_share == 0.5
    assert found.dead_share is None


def test_last_sigmoid_is_meant_to_be_sure():
    head = Head(2, 1, logits=False, one_hot=False)
    model = sequential(layers.Dense(1, "sigmoid", name="a"))
    set_weights(model.layers[0], [np.zeros((5, 1)), [50.0]])
    found = read(model, head, class_ids=Y % 2)
    assert by_layer(found)["a"].saturated_share is None
    # Where probabilities have reached 1, the loss has not.
    assert found.inference_loss == pytest.approx(50 * (Y % 2 == 0).mean(), rel=1e-5)
    assert by_layer(found)["a"].gradient_norm > 0.1
    assert found.predicted_shares == (0.0, 1.0)


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("logits", [True, False])
def test_all_heads_of_two_classes_agree(units, logits):
    head = Head(2, units, logits=logits, one_hot=False)
    model = sequential(layers.Dense(units, name="a"))
    set_weights(
        model.layers[0],
        [X[:5, :1], [0.3]]
        if units == 1
        else [np.c_[np.zeros(5), X[:5, 0]], [0.0, 0.3]],
    )
    if not logits:
        model.add(layers.Activation("sigmoid" if units == 1 else "softmax"))
    found = read(model, head, class_ids=Y % 2)
    z = X.astype(np.float64) @ X[:5, 0] + np.float32(0.3)
    expected = np.logaddexp(0, np.where(Y % 2, -z, z)).mean()
    assert found.inference_loss == pytest.approx(expected, rel=1e-5)
    assert found.inference_accuracy == ((z > 0) == (Y % 2)).mean()


def test_units_that_answer_independently_are_read_as_probabilities():
    model = sequential(layers.Dense(3, "sigmoid"))
    found = read(model, Head(3, 3, logits=False, one_hot=True))
    outputs = np.asarray(model(X), np.float64)
    chosen = (outputs / outputs.sum(1, keepdims=True))[np.arange(48), Y]
    assert found.inference_loss == pytest.approx(-np.log(chosen).mean(), rel=1e-5)


def test_constant_outputs_have_no_spread():
    model = sequential(layers.Dense(3, "softmax", kernel_initializer="zeros"))
    found = read(model)
    assert found.output_spread == 0.0
    assert found.recalls == (1.0, 0.0, 0.0)


def test_classes_that_the_probe_lacks_have_no_recall():
    model = sequential(layers.Dense(3, "softmax"))
    found = read(model, class_ids=np.zeros(48, int))
    assert found.recalls[1:] == (None, None)
    assert found.true_shares == (1.0, 0.0, 0.0)


def test_batch_norm_is_held_against_the_probe():
    norm = layers.BatchNormalization(name="a", momentum=1.0)
    model = sequential(norm, layers.Dense(3, "softmax"))
    found = by_layer(read(model, batch_size=16))["a"]
    x = X.astype(np.float64)
    mean, variance = x.mean(0), x.var(0) + norm.epsilon
    shift = np.sqrt(np.mean(mean**2 / variance))
    ratio = np.sqrt(np.mean(np.log((1 + norm.epsilon) / variance) ** 2))
    assert found.mean_shift == pytest.approx(shift, rel=1e-4)
    assert found.log_variance_ratio == pytest.approx(ratio, rel=1e-4)
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(x.var(0))
    found = by_layer(read(model, batch_size=16))["a"]
    assert found.mean_shift == pytest.approx(0, abs=1e-5)
    assert found.log_variance_ratio == pytest.approx(0, abs=1e-5)


def test_modes_differ_where_moving_statistics_are_wrong():
    model = sequential(layers.BatchNormalization(), layers.Dense(3, "softmax"))
    model.layers[0].moving_mean.assign(np.full(5, 100.0))
    found = read(model)
    assert found.inference_loss > 10 * found.training_loss


def test_frozen_batch_norm_is_not_held_against_the_probe():
    model = sequential(layers.BatchNormalization(name="a"), layers.Dense(3, "softmax"))
    model.layers[0].trainable = False
    found = by_layer(read(model))["a"]
    assert found.mean_shift is found.weight_norm is found.gradient_norm is None
    assert found.output_mean == pytest.approx(X.mean(), rel=1e-2)


def test_shared_layer_pools_its_uses():
    shared = layers.Dense(5, "relu", name="a")
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(shared(shared(inputs))))
    first = shared(X)
    both = np.concatenate([first, shared(first)])
    found = by_layer(read(model))["a"]
    assert found.output_mean == pytest.approx(both.mean(), rel=1e-5)
    assert found.dead_share == (both.max(axis=0) <= 0).mean()


def test_activation_used_in_several_places_has_units_in_each():
    relu = layers.ReLU(name="a")
    model = sequential(
        layers.Dense(4), relu, layers.Dense(2), relu, layers.Dense(3, "softmax")
    )
    set_weights(model.layers[0], [np.zeros((5, 4)), [-1, -1, -1, 1]])
    set_weights(model.layers[2], [np.zeros((4, 2)), [1, 1]])
    assert by_layer(read(model))["a"].dead_share == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_named(bad):
    model = sequential(
        layers.Dense(4, "relu", name="a"), layers.Dense(3, "softmax", name="b")
    )
    kernel, bias = model.layers[0].get_weights()
    kernel[0, 0] = bad
    set_weights(model.layers[0], [kernel, bias])
    found = by_layer(read(model))
    assert "weights" in found["a"].not_finite
    assert "weights" not in found["b"].not_finite
    found = by_layer(read(model, inputs=np.where(X > 4, np.nan, X), class_ids=Y))
    assert "weights" not in found["b"].not_finite


def test_large_finite_weights_are_finite():
    model = sequential(layers.Dense(3, "softmax", name="a"))
    set_weights(model.layers[0], [np.zeros((5, 3)), [1e20, 0, 0]])
    assert by_layer(read(model))["a"].not_finite == ()


def test_predictions_with_nan_are_wrong_and_of_no_class():
    model = sequential(layers.Dense(3, "softmax"))
    set_weights(model.layers[0], [np.full((5, 3), np.nan), np.zeros(3)])
    found = read(model)
    assert found.inference_accuracy == found.training_accuracy == 0
    assert found.predicted_shares == (0.0, 0.0, 0.0)
    assert np.isnan(found.inference_loss)
    assert type(found).from_json(found.to_json()).num_examples == 48


class Subclassed(keras.Model):
    """Its layers stand in another order than they are used in; takes a dict."""

    def __init__(self):
        super().__init__(name="sub")
        self.last = layers.Dense(3, name="last")
        self.embed = layers.Embedding(10, 4, name="embed")
        self.first = layers.Dense(4, tf.nn.relu, name="first")
        self.unused = layers.Dense(4, name="unused")
        self.unused.build((None, 4))

    def call(self, inputs):
        x = self.first(inputs["x"]) + self.embed(inputs["id"])
        return self.last(x)


def test_subclassed_model_with_structured_inputs_is_read_in_the_order_of_use():
    model = Subclassed()
    inputs = {"x": X, "id": np.arange(48) % 3}
    model(inputs)
    found = read(model, LOGITS, inputs=inputs, batch_size=20)
    assert [x.layer.split("/")[-1] for x in found.layers] == [
        "first",
        "embed",
        "last",
        "unused",
    ]
    layer = by_layer(found)
    assert layer["unused"].gradient_norm == 0
    assert layer["unused"].output_mean is None
    with tf.GradientTape() as tape:
        part = {"x": X[:16], "id": np.arange(16) % 3}
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(Y[:16], model(part))
        )
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.embed.embeddings.value))
    assert layer["embed"].gradient_norm == pytest.approx(np.linalg.norm(gradient))
    assert layer["embed"].gradient_mean == pytest.approx(np.abs(gradient).mean())


@pytest.mark.parametrize(
    ("shape", "middle"),
    [
        pytest.param((6, 4), [layers.LSTM(3, return_sequences=True)], id="lstm"),
        pytest.param((6, 4), [layers.Bidirectional(layers.GRU(3))], id="gru"),
        pytest.param(
            (6, 4), [layers.TimeDistributed(layers.Dense(3, "relu"))], id="td"
        ),
        pytest.param((6, 4), [layers.Conv1D(3, 2, activation="tanh")], id="conv1d"),
        pytest.param(
            (8, 8, 2), [layers.SeparableConv2D(3, 3, activation="relu")], id="s"
        ),
        pytest.param(
            (8, 8, 2), [layers.SpectralNormalization(layers.Conv2D(3, 3))], id="n"
        ),
    ],
)
def test_layers_of_every_kind_are_read(shape, middle):
    inputs = RANDOM.normal(size=(10, *shape)).astype(np.float32)
    model = sequential(
        *middle, layers.Flatten(), layers.Dense(3, "softmax"), shape=shape
    )
    before = [np.array(v) for v in model.variables]
    found = read(model, inputs=inputs, class_ids=Y[:10], batch_size=4)
    assert len(found.layers) >= 2
    for layer in found.layers:
        assert layer.gradient_norm is None or layer.gradient_norm > 0
        assert layer.not_finite == ()
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_attention_is_read():
    inputs = keras.Input((6, 4))
    outputs = layers.MultiHeadAttention(2, 3, name="mha")(
        inputs, inputs, return_attention_scores=True
    )[0]
    outputs = layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(outputs))
    model = keras.Model(inputs, outputs)
    rows = RANDOM.normal(size=(10, 6, 4)).astype(np.float32)
    found = by_layer(read(model, inputs=rows, class_ids=Y[:10]))
    assert {"query", "key", "value", "attention_output"} <= set(found)
    assert found["query"].gradient_norm > 0


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_reading_changes_nothing_in_any_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = sequential(
        layers.GaussianNoise(0.1),
        layers.Dense(8, "relu"),
        layers.BatchNormalization(name="bn"),
        layers.Dropout(0.5),
        layers.Dense(3, dtype="float32"),
    )
    probe = make(model, LOGITS, batch_size=20)
    before = [np.array(v) for v in model.variables]
    first, second = probe.read(), probe.read()
    assert first == second
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert by_layer(first)["bn"].mean_shift > 0
    assert all(layer.not_finite == () for layer in first.layers)
    # Dropout is on in one mode alone.
    assert first.training_loss != first.inference_loss


def test_small_gradients_survive_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = sequential(
        layers.Dense(4, name="a"),
        layers.Dense(4, name="b"),
        layers.Dense(3, dtype="float32"),
    )
    kernel, bias = model.layers[1].get_weights()
    set_weights(model.layers[1], [kernel * 1e-7, bias])
    assert 0 < by_layer(read(model, LOGITS))["a"].gradient_norm < 1e-6


def test_change_of_what_is_trained_is_seen():
    model = sequential(layers.Dense(4, name="a"), layers.Dense(3, "softmax", name="b"))
    probe = make(model)
    assert by_layer(probe.read())["a"].gradient_norm > 0
    model.layers[0].trainable = False
    assert by_layer(probe.read())["a"].gradient_norm is None
    model.layers[0].trainable = True
    assert by_layer(probe.read())["a"].gradient_norm > 0


def test_new_weights_are_seen_without_a_new_trace():
    model = sequential(layers.Dense(3, "softmax"))
    probe = make(model)
    before = probe.read()
    set_weights(model.layers[0], [np.zeros((5, 3)), np.zeros(3)])
    assert probe.read().inference_loss == pytest.approx(np.log(3))
    assert before.inference_loss != pytest.approx(np.log(3))


def test_update_ratios_stand_beside():
    model = sequential(layers.Dense(3, "softmax", name="a"))
    probe = make(model)
    assert probe.read({"m/a": 0.25}).layers[0].update_ratio == 0.25
    assert probe.read().layers[0].update_ratio is None


def test_model_that_raises_is_not_hushed_up():
    class Moody(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, inputs, training=False):
            if training:
                raise RuntimeError("moody")
            return self.dense(inputs)

    model = Moody()
    model(X)
    with pytest.raises(RuntimeError, match="moody"):
        Probe(model, LOGITS, X, Y).read()
    assert model(X).shape == (48, 3)


def test_probe_without_examples_is_refused():
    with pytest.raises(ValueError, match="expected at least one example"):
        Probe(sequential(layers.Dense(3)), LOGITS, X[:0], Y[:0])


def test_layers_computed_again_on_the_way_back_change_nothing():
    class Again(layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization(name="bn")
            self.dropout = layers.Dropout(0.5)

        def call(self, inputs, training=False):
            inside = tf.recompute_grad(
                lambda x: self.dropout(
                    self.norm(x, training=training), training=training
                )
            )
            return inside(inputs)

    model = sequential(Again(), layers.Dense(3, "softmax"))
    before = [np.array(v) for v in model.variables]
    found = read(model)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert by_layer(found)["bn"].gradient_norm > 0


def test_batch_norm_that_is_frozen_on_the_way_uses_its_moving_statistics():
    norm = layers.BatchNormalization(name="a", center=False, scale=False)
    model = sequential(norm, layers.Dense(3, "softmax"))
    probe = make(model)
    assert by_layer(probe.read())["a"].mean_shift > 0
    norm.trainable = False
    found = probe.read()
    assert by_layer(found)["a"].mean_shift is None
    assert found.training_loss == found.inference_loss


def test_batch_norm_inside_a_loop_is_passed():
    class Looped(layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization(name="bn")

        def build(self, shape):
            self.norm.build(shape)

        def call(self, inputs, training=False):
            def step(i, x):
                return i + 1, self.norm(x, training=training)

            outputs = tf.while_loop(lambda i, x: i < 2, step, (0, inputs))[1]
            return tf.ensure_shape(outputs, inputs.shape)

    model = sequential(Looped(), layers.Dense(3, "softmax"))
    found = by_layer(read(model))["bn"]
    assert found.mean_shift is found.output_mean is None
    assert found.gradient_norm > 0
