# SPDX-License-Identifier: Apache-2.0
"""Compares the answers to uneven classes that `LossConfig.kind` offers.

Classes of the training rows are thinned out to a long tail: the most frequent class
has `ratio` times the rows of the rarest, those between lie on an exponential curve.
The test rows stay as they are. Each kind trains the same networks on the same rows,
and stops early by its own loss on rows held out, as the trainer does.

    .venv/bin/python benchmarks/uneven_classes.py --seeds 5

Reported are means over data sets and seeds, in per cent, and the difference to the
plain loss with its standard error over seeds and data sets: balanced accuracy (the
mean of the recalls), the worst recall, and the accuracy for classes as frequent as
they are in training.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # Before numpy is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import collections
import itertools
import json
import pathlib
import sys
import zlib

import numpy as np
import tensorflow as tf
from sklearn import datasets

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.weights import class_priors, class_weights
from components.guarded_trainer.head import Head
from components.guarded_trainer.losses.compiling import choose_loss
from components.guarded_trainer.losses.settings import LossConfig
from components.labels import ClassTable

RATIOS = (1, 2, 3, 10, 30, 100)
KINDS = ("plain", "class_weights", "balanced_softmax", "focal")
_TEST_SHARE = 0.4
_HELD_OUT_SHARE = 0.15
_MIN_ROWS = 4  # Of a class in training; fewer teach nothing to anybody.
_EPOCHS, _PATIENCE, _BATCH = 50, 8, 32  # The trainer's defaults.


def _synthetic(seed, **settings):
    common = {"n_samples": 3000, "n_features": 20, "n_informative": 10}
    return datasets.make_classification(random_state=seed, **(common | settings))


SOURCES = {
    "digits": lambda seed: datasets.load_digits(return_X_y=True),
    "breast_cancer": lambda seed: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda seed: datasets.load_wine(return_X_y=True),
    "overlapping": lambda seed: _synthetic(
        seed, n_classes=4, n_clusters_per_class=2, class_sep=1.0
    ),
    "noisy": lambda seed: _synthetic(seed, n_classes=2, flip_y=0.1),
    "fine": lambda seed: datasets.make_blobs(
        3000, n_features=10, centers=5, cluster_std=2.0, random_state=seed
    ),
}


def problem(source, ratio, seed):
    """Returns training rows with a long tail, and test rows as they came."""
    random = np.random.default_rng(seed + zlib.crc32(source.encode()))
    x, y = SOURCES[source](seed)
    # On all rows: a pixel that is black in the few rows of a tail would explode.
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    order = random.permutation(len(x))
    x, y = x[order].astype(np.float32), y[order].astype(np.int64)
    num_test = int(_TEST_SHARE * len(x))
    test, train = (x[:num_test], y[:num_test]), (x[num_test:], y[num_test:])
    counts = np.bincount(train[1])
    ranks = random.permutation(len(counts)) / (len(counts) - 1)
    wanted = np.maximum(counts.min() * ratio**-ranks, _MIN_ROWS).round().astype(int)
    keep = np.concatenate(
        [np.flatnonzero(train[1] == k)[:n] for k, n in enumerate(wanted)]
    )
    keep = random.permutation(keep)
    return (train[0][keep], train[1][keep]), test


def class_table(y):
    """Returns the classes as ClassBalanceValidator would."""
    counts = tuple(int(n) for n in np.bincount(y))
    return ClassTable(
        label_key="label",
        labels=tuple(range(len(counts))),
        train_counts=counts,
        weights=class_weights(counts, ClassBalanceConfig()),
        priors=class_priors(counts),
    )


class Networks:
    """One network per kind of loss: equal at first, and shown the same batches.

    Two hidden layers of 32 ReLU units trained by Adam. All are
    computed at once, which makes them fast and changes nothing: no number of one
    enters another.
    """

    def __init__(self, num_features, classes, units, seed):
        head = Head(len(classes.labels), units, logits=True, one_hot=False)
        self._losses = [
            choose_loss(head, classes, LossConfig(kind=kind)) for kind in KINDS
        ]
        self._head = head
        random = np.random.default_rng(seed)
        self.weights = []
        sizes = (num_features, 32, 32, units)
        for inputs, outputs in itertools.pairwise(sizes):
            deviation = np.sqrt(2 / inputs if outputs != units else 1 / inputs)
            kernel = deviation * random.normal(size=(inputs, outputs))
            bias = np.zeros((1, outputs))
            for value in (kernel, bias):
                stacked = np.stack([value] * len(KINDS)).astype(np.float32)
                self.weights.append(tf.Variable(stacked))
        self._slots = [
            [tf.Variable(tf.zeros_like(w)) for w in self.weights] for _ in range(2)
        ]
        self._step = tf.Variable(0.0)
        self.epoch = tf.function(self._epoch, reduce_retracing=True)

    def outputs(self, x):
        """Returns the logits of each network, shape (kinds, rows, units)."""
        x = tf.tile(x[None], (len(KINDS), 1, 1))
        kernels, biases = self.weights[::2], self.weights[1::2]
        for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            x = x @ kernel + bias
            x = tf.nn.relu(x) if i < len(kernels) - 1 else x
        return x

    def losses(self, x, y):
        """Returns the mean loss of each network, weighted as it is trained."""
        labels, outputs = self._head.encode(y), tf.unstack(self.outputs(x))
        means = []
        for chosen, output in zip(self._losses, outputs, strict=True):
            values = chosen.loss.call(labels, output)
            if chosen.class_weight:
                table = [chosen.class_weight[k] for k in range(self._head.num_classes)]
                values *= tf.gather(tf.constant(table, tf.float32), y)
            means.append(tf.reduce_mean(values))
        return tf.stack(means)

    def recalls(self, x, y):
        """Returns the recall of each class, shape (kinds, classes)."""
        probabilities = [self._head.probabilities(o) for o in self.outputs(x)]
        predicted = np.stack([p.numpy().argmax(axis=1) for p in probabilities])
        classes = range(self._head.num_classes)
        return np.stack([(predicted[:, y == k] == k).mean(axis=1) for k in classes], 1)

    def _epoch(self, x, y, order):
        """Steps through batches of rows, shape (steps, batch)."""
        for rows in order:
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(
                    self.losses(tf.gather(x, rows), tf.gather(y, rows))
                )
            gradients = tape.gradient(total, self.weights)
            self._step.assign_add(1.0)
            rate = 1e-3 * tf.sqrt(1 - 0.999**self._step) / (1 - 0.9**self._step)
            for w, g, m, v in zip(self.weights, gradients, *self._slots, strict=True):
                m.assign(0.9 * m + 0.1 * g)
                v.assign(0.999 * v + 0.001 * tf.square(g))
                w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))


def recalls(source, ratio, seed):
    """Trains each kind once; returns recalls (kinds, classes), and class counts."""
    (x, y), test = problem(source, ratio, seed)
    classes = class_table(y)
    units = 1 if source == "breast_cancer" else len(classes.labels)
    num_held_out = int(_HELD_OUT_SHARE * len(x))
    held_out = tf.constant(x[:num_held_out]), tf.constant(y[:num_held_out])
    x, y = tf.constant(x[num_held_out:]), tf.constant(y[num_held_out:])
    networks = Networks(x.shape[1], classes, units, seed)
    random = np.random.default_rng(seed)
    score = tf.function(networks.losses)
    best, since = np.full(len(KINDS), np.inf), np.zeros(len(KINDS))
    kept = [np.array(w.numpy()) for w in networks.weights]
    for _ in range(_EPOCHS):
        order = random.permutation(len(x))[: len(x) // _BATCH * _BATCH]
        networks.epoch(x, y, tf.constant(order.reshape(-1, _BATCH)))
        loss = score(*held_out).numpy()
        # What has stopped stays as it was at its best.
        better = (loss < best) & (since < _PATIENCE)
        since = np.where(better | (since >= _PATIENCE), since * ~better, since + 1)
        best = np.where(better, loss, best)
        for old, new in zip(kept, networks.weights, strict=True):
            old[better] = new.numpy()[better]
        if (since >= _PATIENCE).all():
            break
    for weight, value in zip(networks.weights, kept, strict=True):
        weight.assign(value)
    return networks.recalls(*test), classes.train_counts


def scores(hits, counts):
    """Returns balanced accuracy, worst recall and accuracy as in training."""
    return (
        float(np.mean(hits)),
        float(np.min(hits)),
        float(np.average(hits, weights=counts)),
    )


def table(results, sources, title):
    """Prints means over data sets and seeds, and differences to the plain loss."""
    print(f"\n{title}\n")
    print("| ratio | kind | balanced accuracy | worst recall | accuracy as trained |")
    print("| --- | --- | --- | --- | --- |")
    for ratio in RATIOS:
        for kind in KINDS:
            cells = []
            for i in range(3):
                own = _values(results, sources, ratio, kind, i)
                difference = own - _values(results, sources, ratio, "plain", i)
                error = difference.std(ddof=1) / np.sqrt(len(difference))
                shown = f"{100 * own.mean():.1f}"
                if kind != "plain":
                    shown += f" ({100 * difference.mean():+.1f} ± {100 * error:.1f})"
                cells.append(shown)
            print(f"| {ratio} | {kind} | {' | '.join(cells)} |")


def _values(results, sources, ratio, kind, i):
    return np.array(
        [run[i] for source in sources for run in results[source, ratio, kind]]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=SOURCES, nargs="*", default=list(SOURCES))
    parser.add_argument("--save", type=pathlib.Path, help="JSON file for the results")
    arguments = parser.parse_args()
    results = collections.defaultdict(list)
    for source in arguments.only:
        for ratio in RATIOS:
            for seed in range(arguments.seeds):
                hits, counts = recalls(source, ratio, seed)
                for kind, own in zip(KINDS, hits, strict=True):
                    results[source, ratio, kind].append(scores(own, counts))
            print(f"{source}, ratio {ratio}: done", file=sys.stderr, flush=True)
    if arguments.save:
        named = {" ".join(map(str, key)): runs for key, runs in results.items()}
        arguments.save.write_text(json.dumps(named, indent=1))
    table(results, arguments.only, f"All data, {arguments.seeds} seeds")
    for source in arguments.only:
        table(results, [source], source)


if __name__ == "__main__":
    main()
