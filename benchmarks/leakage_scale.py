# SPDX-License-Identifier: Apache-2.0
"""How time and memory of the leakage validator grow with the number of examples.

Runs the whole `LeakageValidator`, each run in processes of its own, on rows of thirty
numbers and on 32 x 32 pictures, into which duplicates and near-duplicates of the
training split are planted. Prints seconds, the exponent of time against examples,
the peak memory of all processes together, and whether the findings are the same in
one process, in two, and for another cut into files:

    .venv/bin/python benchmarks/leakage_scale.py --sizes 10000 100000 1000000
"""

import argparse
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

KINDS = ("rows", "pictures")
LAYOUTS = {
    "one process": ["--direct_running_mode=in_memory"],
    "two processes": [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    ],
}
FEATURES, SIDE = 30, 32
PLANTED = 0.02  # Share of the evaluation split, of either kind.
EVAL = 0.2
CHUNK = 10_000  # Examples made at once.


def main():
    arguments = parse()
    if arguments.run:
        validate(*arguments.run)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for kind in arguments.kinds:
            measure(kind, arguments.sizes, pathlib.Path(folder))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--folder", help="where to write the examples; some GB")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(kind, sizes, folder):
    print(f"\n{kind}\n\n| examples | | s | peak MB | near | findings |")
    print("| --- | --- | --- | --- | --- | --- |")
    seconds, idle = {}, None
    for size in [200, *sizes]:
        data = folder / f"{kind}-{size}"
        write_examples(kind, size, data / "a", files=4)
        write_examples(kind, size, data / "b", files=7)
        runs = [("one process", "a"), ("two processes", "a"), ("one process", "b")]
        first = None
        for layout, cut in runs[:1] if size == 200 else runs:
            taken, memory, found = run(data / cut, layout)
            if size == 200:
                idle = taken
                print(f"| {size} | {layout} | {taken:.1f} | {memory:.0f} | | (start) |")
                continue
            first = first or found
            same = "same" if found == first else "DIFFERENT"
            note = "" if cut == "a" else ", cut into other files"
            seconds.setdefault(layout + note, {})[size] = taken - idle
            near = near_share(found)
            print(
                f"| {size:,} | {layout}{note} | {taken:.1f} | {memory:.0f} | {near} "
                f"| {same} |",
                flush=True,
            )
    for layout, taken in seconds.items():
        if len(taken) > 1:
            print(f"\n{layout}: time grows with exponent {exponent(taken):.2f}")


def exponent(seconds):
    """Slope of log seconds, less those of an empty run, against log examples."""
    sizes, taken = zip(*sorted(seconds.items()), strict=True)
    return np.polyfit(np.log(sizes), np.log(np.maximum(taken, 0.1)), 1)[0]


def near_share(findings):
    shares = [
        f"{finding['measured']:.4f}"
        for finding in findings
        if finding["cause"] == "near_duplicate_leakage"
    ]
    return ", ".join(shares) or "none"


def run(data, layout):
    """Runs the validator; returns seconds, peak megabytes and the findings."""
    out = data / f"out-{time.monotonic_ns()}"
    command = [sys.executable, __file__, "--run", str(data), layout, str(out)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    log = data / "log"
    started = time.monotonic()
    with open(log, "w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        memory = PeakMemory(process.pid)
        code = process.wait()
        taken = time.monotonic() - started
        memory.stop()
    if code:
        raise RuntimeError(f"{command} ended with {code}:\n{log.read_text()[-3000:]}")
    return taken, memory.peak / 2**20, json.loads((out / "found.json").read_text())


class PeakMemory(threading.Thread):
    """Watches the memory of a process and all that it starts.

    Shared pages count once (proportional set size, where the kernel tells it).
    """

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid, self._stop_it, self.peak = pid, threading.Event(), 0
        self.start()

    def run(self):
        while not self._stop_it.wait(0.2):
            self.peak = max(self.peak, sum(map(resident, tree(self._pid))))

    def stop(self):
        self._stop_it.set()
        self.join()


def tree(pid):
    found = [pid]
    for parent in found:
        try:
            for children in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            pass  # It has ended.
    return found


def resident(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def validate(data, layout, out):
    """Runs the executor on the examples in a folder."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components import artifact_io
    from components.artifacts import GuardFindings
    from components.leakage.config import LeakageConfig
    from components.leakage.executor import Executor

    examples = standard_artifacts.Examples()
    examples.uri, examples.splits, examples.span = data, ["train", "eval"], 0
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    findings, anomalies = GuardFindings(), standard_artifacts.ExampleAnomalies()
    findings.uri, anomalies.uri = f"{out}/findings", f"{out}/anomalies"
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner", *LAYOUTS[layout]],
        tmp_dir=f"{out}/tmp",
        unique_id="1",
    )
    Executor(context).Do(
        {"all_examples": [examples]},
        {"findings": [findings], "anomalies": [anomalies]},
        {"label_key": "label", "config": LeakageConfig(ignore=("id",)).to_json()},
    )
    found = [
        json.loads(finding.to_json())
        for finding in artifact_io.read_findings(findings).findings
    ]
    for finding in found:
        check(finding)
    pathlib.Path(out, "found.json").write_text(json.dumps(found))


def check(finding):
    if finding["cause"] == "check_failed":
        raise RuntimeError(finding["message"])


def write_examples(kind, size, folder, files):
    """Writes the same examples, cut into so many files per split."""
    import tensorflow as tf

    folder.mkdir(parents=True)
    counts = {"train": size - int(size * EVAL), "eval": int(size * EVAL)}
    for split, count in counts.items():
        target = folder / f"Split-{split}"
        target.mkdir()
        writers = [
            gzip_writer(tf, target / f"data_tfrecord-{i:05d}-of-{files:05d}.gz")
            for i in range(files)
        ]
        for start in range(0, count, CHUNK):
            records = make_records(
                kind, split, start, min(CHUNK, count - start), counts["train"]
            )
            for i, record in enumerate(records):
                writers[(start + i) % files].write(record)
        for writer in writers:
            writer.close()


def gzip_writer(tf, path):
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
    return tf.io.TFRecordWriter(str(path), options)


def make_records(kind, split, start, count, trained):
    """Makes examples of a split from `start` on; `trained` are in the training one."""
    from tensorflow.core.example import example_pb2

    chunk = start // CHUNK
    values = contents(kind, split, chunk, trained)[:count]
    labels = np.random.default_rng([chunk, 1]).integers(0, 10, CHUNK)
    for i, value in enumerate(values):
        example = example_pb2.Example()
        feature = example.features.feature
        name = f"{split}-{start + i}".encode()
        feature["id"].bytes_list.value.append(name)
        feature["label"].int64_list.value.append(int(labels[i]))
        if kind == "rows":
            for k, number in enumerate(value.tolist()):
                feature[f"x{k:02d}"].float_list.value.append(number)
        else:
            # Copies differ in their format, not in their pixels.
            encoded = encode(value, "PNG" if split == "train" else "BMP")
            feature["image"].bytes_list.value.append(encoded)
        yield example.SerializeToString(deterministic=True)


def contents(kind, split, chunk, trained):
    """Draws a chunk of contents; the evaluation split's has what is planted."""
    draw = draw_rows if kind == "rows" else draw_pictures
    own = draw(np.random.default_rng([chunk, split == "eval"]))
    if split == "eval":
        planted = int(CHUNK * PLANTED)
        # Interleaved, so that part of a chunk has its share.
        train = draw(np.random.default_rng([0, 0]))
        drawn = np.random.default_rng([chunk, 2]).permutation(min(trained, CHUNK))
        source = train[np.resize(drawn, 2 * planted)]
        own[0 :: CHUNK // planted][:planted] = source[:planted]
        own[1 :: CHUNK // planted][:planted] = disturb(kind, source[planted:], chunk)
    return own


def draw_rows(rng):
    latent = rng.normal(size=(CHUNK, 8))
    mixing = np.random.default_rng(3).normal(size=(8, FEATURES))
    return (latent @ mixing + rng.normal(size=(CHUNK, FEATURES))).astype(np.float32)


def draw_pictures(rng):
    """Draws textures of random low frequencies, uint8, shape (n, side, side, 3)."""
    from scipy import fft

    size = 8
    frequency = np.hypot(*np.meshgrid(np.arange(size), np.arange(size)))
    coefficients = np.zeros((CHUNK, SIDE, SIDE, 3), np.float32)
    coefficients[:, :size, :size] = (
        rng.normal(size=(CHUNK, size, size, 3)) / ((1 + frequency)[..., np.newaxis])
    )
    textures = fft.idctn(coefficients, axes=(1, 2), norm="ortho")
    textures /= textures.std(axis=(1, 2), keepdims=True)
    contrast = rng.uniform(25, 50, (CHUNK, 1, 1, 1))
    brightness = rng.uniform(100, 156, (CHUNK, 1, 1, 1))
    return np.clip(textures * contrast + brightness, 0, 255).astype(np.uint8)


def disturb(kind, contents, chunk):
    if kind == "rows":
        noise = np.random.default_rng([chunk, 4]).uniform(-5e-4, 5e-4, contents.shape)
        return (contents + noise).astype(np.float32)
    return np.clip(contents.astype(np.int16) + 12, 0, 255).astype(np.uint8)


def encode(pixels, file_format):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


if __name__ == "__main__":
    main()
