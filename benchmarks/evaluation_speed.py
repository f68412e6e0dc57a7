# SPDX-License-Identifier: Apache-2.0
"""Measures our evaluation in all modes against TFX's Evaluator with one model.

Both read the same gzipped TFRecords of synthetic tf.Examples (20 numbers, 5 classes;
or digits-like pictures with `--pictures`) in two splits, and judge every one of them.
TFX's Evaluator asks one model for its accuracy and the number of examples, as TFX's own
templates do; `--stock default` asks for all of TFMA's metrics for several classes.
Ours asks the candidate and its two training modes for all metrics of the gate, and the
candidate again about harmlessly changed examples.

Each run is a process of its own, the two in turn. The wall time is that of the process;
`evaluation` is the same without starting Python and importing TFX.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPLITS = {"train": 0.8, "eval": 0.2}
NUM_FEATURES, NUM_CLASSES, PIXELS = 20, 5, 64
BATCH_SIZE = 32
NUM_CHANGED = 1000
"""Examples that are asked about again with harmless changes, the gate's default."""


def make_data(root: Path, count: int, pictures: bool) -> None:
    """Writes both splits as an Examples artifact's files."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    size = PIXELS if pictures else NUM_FEATURES
    for split, share in SPLITS.items():
        folder = root / "examples" / f"Split-{split}"
        folder.mkdir(parents=True)
        rows = int(count * share)
        labels = rng.integers(0, NUM_CLASSES, rows)
        values = rng.normal(size=(rows, size)) + labels[:, None] / 4
        path = folder / "data_tfrecord-00000-of-00001.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for label, row in zip(labels.tolist(), values.tolist(), strict=True):
                if pictures:
                    picture = np.clip(np.array(row) * 40 + 100, 0, 255)
                    encoded = tf.io.encode_png(
                        picture.reshape(8, 8, 1).astype(np.uint8)
                    ).numpy()
                    features = {
                        "image": tf.train.Feature(
                            bytes_list=tf.train.BytesList(value=[encoded])
                        )
                    }
                else:
                    features = {
                        f"x{i}": tf.train.Feature(
                            float_list=tf.train.FloatList(value=[value])
                        )
                        for i, value in enumerate(row)
                    }
                features["label"] = tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[label])
                )
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())


def make_models(root: Path, pictures: bool) -> None:
    """Saves one network for serving, and a copy with its two training modes."""
    import numpy as np
    import tensorflow as tf

    size = PIXELS if pictures else NUM_FEATURES
    rng = np.random.default_rng(1)

    class Network(tf.Module):
        def __init__(self):
            sizes = (size, 64, 64, NUM_CLASSES)
            self.kernels = [
                tf.Variable(rng.normal(size=shape) / shape[0] ** 0.5, dtype=tf.float32)
                for shape in zip(sizes[:-1], sizes[1:], strict=True)
            ]

        def __call__(self, examples, of_batch):
            values = parse(examples)
            for i, kernel in enumerate(self.kernels):
                values = values @ kernel
                if i < len(self.kernels) - 1:
                    mean, variance = tf.nn.moments(values, [0]) if of_batch else (0, 1)
                    values = tf.nn.relu((values - mean) * tf.math.rsqrt(variance + 0.1))
            return {"probabilities": tf.nn.softmax(values)}

    def parse(examples):
        if pictures:
            spec = {"image": tf.io.FixedLenFeature((), tf.string)}
            encoded = tf.io.parse_example(examples, spec)["image"]

            def decode(picture):
                return tf.reshape(tf.io.decode_png(picture, 1), (PIXELS,))

            pixels = tf.map_fn(decode, encoded, fn_output_signature=tf.uint8)
            return tf.cast(pixels, tf.float32) / 255
        spec = {
            f"x{i}": tf.io.FixedLenFeature((1,), tf.float32)
            for i in range(NUM_FEATURES)
        }
        return tf.concat(list(tf.io.parse_example(examples, spec).values()), axis=1)

    network = Network()
    strings = [tf.TensorSpec((None,), tf.string)]

    def signature(of_batch):
        return tf.function(lambda e: network(e, of_batch), input_signature=strings)

    for folder, modes in (
        ("Format-Serving", {"serving_default": False}),
        ("Format-TFMA", {"training": True, "batch_statistics": True}),
    ):
        signatures = {name: signature(of_batch) for name, of_batch in modes.items()}
        path = root / "model" / folder
        tf.saved_model.save(network, str(path), signatures=signatures)


def run_stock(root: Path, output: Path, metrics: str) -> None:
    """Runs the executor of TFX's Evaluator, as its component does."""
    import tensorflow_model_analysis as tfma
    from google.protobuf import json_format
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.components.evaluator import executor
    from tfx.types import standard_artifacts
    from tfx.utils import json_utils

    if metrics == "default":
        specs = tfma.metrics.default_multi_class_classification_specs()
    else:
        names = ("ExampleCount", "SparseCategoricalAccuracy")
        specs = [
            config_pb2.MetricsSpec(
                metrics=[config_pb2.MetricConfig(class_name=name) for name in names]
            )
        ]
    eval_config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(label_key="label", prediction_key="probabilities")
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=specs,
    )
    examples = standard_artifacts.Examples()
    examples.uri = str(root / "examples")
    examples.split_names = json.dumps(list(SPLITS))
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    model = standard_artifacts.Model()
    model.uri = str(root / "model")
    evaluation, blessing = (
        standard_artifacts.ModelEvaluation(),
        standard_artifacts.ModelBlessing(),
    )
    for artifact, name in ((evaluation, "evaluation"), (blessing, "blessing")):
        artifact.uri = str(output / name)
        Path(artifact.uri).mkdir(parents=True)
    context = executor.Executor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"],
        tmp_dir=str(output / "tmp"),
        unique_id="1",
    )
    executor.Executor(context).Do(
        {"examples": [examples], "model": [model]},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(eval_config),
            "example_splits": json_utils.dumps(list(SPLITS)),
            "fairness_indicator_thresholds": json_utils.dumps(None),
        },
    )


def run_guarded(root: Path, output: Path) -> None:
    """Measures the candidate and its two modes with all metrics of the gate."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.guarded_evaluator import measure, models
    from components.guarded_evaluator.results import read_results
    from components.records.evaluation import PERTURBED_PREFIX

    judged = [
        models.JudgedModel(
            "candidate", str(root / "model/Format-Serving"), "serving_default"
        ),
        *(
            models.JudgedModel(mode, str(root / "model/Format-TFMA"), mode)
            for mode in ("training", "batch_statistics")
        ),
    ]
    patterns = {
        split: [str(root / "examples" / f"Split-{split}" / "*")] for split in SPLITS
    }
    labels = tuple(range(NUM_CLASSES))
    options = PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        measure.evaluate(
            pipeline,
            patterns,
            judged,
            "label",
            labels,
            BATCH_SIZE,
            {},
            str(output),
            perturbing_by=measure.Perturbing("train", "eval", NUM_CHANGED),
        )
    record = read_results(str(output), [str(label) for label in labels])
    perturbed = [p for p in record.pairs if p.other.startswith(PERTURBED_PREFIX)]
    if len(record.results) != 6 or len(record.pairs) != 4 + len(perturbed):
        raise RuntimeError("the evaluation did not measure all there is")


def main() -> None:
    """Runs the comparison, or one side of it for the parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, nargs="+", default=[100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--stock", choices=("template", "default"), default="template")
    parser.add_argument("--only", choices=("stock", "guarded"))
    parser.add_argument("--run", choices=("stock", "guarded"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        _run_one(arguments)
        return
    columns = ["examples", "", "wall s (range)", "ratio", "evaluation s", "ratio"]
    print(f"| {' | '.join([*columns, 'CPU s', 'peak MB'])} |")
    print("|" + " --- |" * 8)
    for count in arguments.examples:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            make_data(root, count, arguments.pictures)
            make_models(root, arguments.pictures)
            _compare(root, count, arguments)


def _compare(root: Path, count: int, arguments: argparse.Namespace) -> None:
    sides = [arguments.only] if arguments.only else ["stock", "guarded"]
    taken = {side: [] for side in sides}
    for i in range(arguments.rounds):
        for side in sides:
            taken[side].append(_measure(root, side, arguments.stock))
            wall, alone, cpu, memory = taken[side][-1]
            print(
                f"{count} round {i + 1} {side}: {wall:.1f} s, of it {alone:.1f} s "
                f"evaluation; {cpu:.1f} CPU s, {memory:.0f} MB",
                file=sys.stderr,
            )
    for side, runs in taken.items():
        wall, alone, cpu, memory = (
            statistics.median(values) for values in zip(*runs, strict=True)
        )
        base = [
            statistics.median(values) for values in zip(*taken[sides[0]], strict=True)
        ]
        walls = [run[0] for run in runs]
        print(
            f"| {count} | {side} | {wall:.1f} ({min(walls):.1f} to {max(walls):.1f}) | "
            f"{wall / base[0]:.2f} | {alone:.1f} | {alone / base[1]:.2f} | {cpu:.1f} | "
            f"{memory:.0f} |",
            flush=True,
        )


def _measure(root: Path, side: str, stock: str) -> tuple[float, float, float, float]:
    """Returns wall, evaluation and CPU seconds, and peak megabytes of one process."""
    arguments = [__file__, "--run", side, "--root", str(root), "--stock", stock]
    started = time.monotonic()
    with open(root / "log", "w") as log, open(root / "seconds", "w") as seconds:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=seconds, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{side} failed: {(root / 'log').read_text()[-2000:]}")
    wall = time.monotonic() - started
    alone = float((root / "seconds").read_text().split()[-1])
    return wall, alone, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _run_one(arguments: argparse.Namespace) -> None:
    import tensorflow_model_analysis  # noqa: F401
    from tfx.components.evaluator import executor  # noqa: F401

    output = arguments.root / f"output-{arguments.run}"
    shutil.rmtree(output, ignore_errors=True)
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        if arguments.run == "stock":
            run_stock(arguments.root, output, arguments.stock)
        else:
            run_guarded(arguments.root, output)
    print(time.monotonic() - started)


if __name__ == "__main__":
    main()
