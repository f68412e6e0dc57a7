# SPDX-License-Identifier: Apache-2.0
"""Compares the trainer's input pipeline with `image_dataset_from_directory` of Keras.

Both read the same JPEG pictures of two classes, 64 to 128 pixels wide, cut out of
scikit-learn's two photos, and give batches of 32 float32 pictures of 96 x 96. Prints
pictures per second, medians of several rounds in turn:

    .venv/bin/python benchmarks/input_pipeline.py --pictures 4000 --rounds 5

The first epoch is counted from opening the data: ours are checked, hashed and decoded
in one reading before. `cached batches` is what tutorials do to make later epochs fast:
the batches of the first epoch, kept in memory, in another order. `cached rows` draws
new batches in each epoch, as ours does, with the means of tf.data. `on disk` is ours
with too little memory for the pictures, decoded anew in each epoch, against Keras
without a cache. Seconds of the processor are those of all cores, and less at the mercy
of whatever else the machine does.
"""

import argparse
import io
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from components.guarded_trainer.config import ImageInput
from components.guarded_trainer.inputs import ModelInputs
from components.guarded_trainer.reading.settings import ReadingConfig
from components.guarded_trainer.reading.tfrecords import check_split, read_split
from components.labels import ClassTable

SIDE, BATCH = 96, 32
SHARDS = 4
LATER_EPOCHS = 3
IN_MEMORY, ON_DISK = 1 << 34, 1 << 24


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(arguments.pictures, folder)
        ways = {
            "Keras, cached batches": lambda: cached_batches(folder),
            "Keras, cached rows": lambda: cached_rows(folder, arguments.pictures),
            "ours, in memory": lambda: our_batches(folder, IN_MEMORY),
            "Keras": lambda: keras_batches(folder),
            "ours, on disk": lambda: our_batches(folder, ON_DISK),
        }
        taken = {way: [] for way in ways}
        for i in range(arguments.rounds + 1):
            for way, open_data in ways.items():
                seconds = measure(open_data, -(-arguments.pictures // BATCH))
                # The first round warms the file cache up.
                if i:
                    taken[way].append(seconds)
    report(taken, arguments.pictures)


def write(count, folder):
    """Writes the same pictures as files by class, and as gzipped TFRecords."""
    random = np.random.default_rng(0)
    photos = load_sample_images().images
    writers = [
        tf.io.TFRecordWriter(str(folder / f"{i}.gz"), "GZIP") for i in range(SHARDS)
    ]
    for i in range(count):
        label = i % len(photos)
        side = int(random.integers(64, 129))
        height, width = photos[label].shape[:2]
        top, left = random.integers(height - side), random.integers(width - side)
        picture = photos[label][top : top + side, left : left + side]
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "JPEG")
        of_class = folder / "pictures" / str(label)
        of_class.mkdir(parents=True, exist_ok=True)
        (of_class / f"{i}.jpg").write_bytes(encoded.getvalue())
        features = {
            "image": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[encoded.getvalue()])
            ),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        writers[i % SHARDS].write(example.SerializeToString())
    for writer in writers:
        writer.close()


def keras_data(folder):
    return keras.utils.image_dataset_from_directory(
        folder / "pictures", image_size=(SIDE, SIDE), batch_size=BATCH, verbose=False
    )


def keras_batches(folder):
    return keras_data(folder).repeat()


def cached_batches(folder):
    return keras_data(folder).cache().shuffle(100).prefetch(tf.data.AUTOTUNE).repeat()


def cached_rows(folder, count):
    rows = keras_data(folder).unbatch().cache().shuffle(count)
    return rows.batch(BATCH).prefetch(tf.data.AUTOTUNE).repeat()


def our_batches(folder, memory):
    split = check_split(
        read_split([str(path) for path in folder.glob("*.gz")]),
        ModelInputs({}, {}, ImageInput(feature="image", height=SIDE, width=SIDE)),
        ClassTable(
            label_key="label", labels=(0, 1), train_counts=(1, 1), weights=(1.0, 1.0)
        ),
        held_out_share=0.0,
        min_held_out=1,
        reading=ReadingConfig(memory_bytes=memory),
    )
    return split.train_batches(BATCH, seed=0).prefetch(tf.data.AUTOTUNE)


def measure(open_data, steps):
    """Returns wall and processor seconds of the first epoch and of a later one."""
    clocks = time.perf_counter, time.process_time
    start = [clock() for clock in clocks]
    batches = iter(open_data())
    run(batches, steps)
    middle = [clock() for clock in clocks]
    run(batches, steps * LATER_EPOCHS)
    end = [clock() for clock in clocks]
    return [
        *(b - a for a, b in zip(start, middle, strict=True)),
        *((b - a) / LATER_EPOCHS for a, b in zip(middle, end, strict=True)),
    ]


def run(batches, steps):
    for _ in range(steps):
        next(batches)


def report(taken, pictures):
    print(
        f"| {pictures} pictures per second (range) | first epoch | per processor "
        "second | later epochs | per processor second |"
    )
    print("| --- | --- | --- | --- | --- |")
    for way, seconds in taken.items():
        cells = []
        for column in zip(*seconds, strict=True):
            rates = sorted(pictures / max(each, 1e-9) for each in column)
            cells.append(
                f"{statistics.median(rates):.0f} ({rates[0]:.0f} to {rates[-1]:.0f})"
            )
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
