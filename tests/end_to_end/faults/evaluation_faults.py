# SPDX-License-Identifier: Apache-2.0
"""Faults before and while a model is judged: none of them may end in a blessing."""

import json
import resource

import numpy as np
import tensorflow as tf
from fault_bench import EXAMPLES, make_example, save_signature, write_split
from fault_rows import Fault
from spoiling import (
    cut,
    edit,
    flip,
    forbid,
    link,
    make_folder,
    overwrite,
    remove,
)
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from components.artifact_io import CLASS_WEIGHTS_FILE, FINDINGS_FILE
from components.guarded_evaluator.checks import CHECKS
from components.records.model_card import MODEL_CARD_FILE
from components.records.training import TRAINING_RECORD_FILE

_SERVING, _COPY = "model/Format-Serving", "model/Format-TFMA"
_BASELINE = "baseline_model/Format-Serving"
_GRAPH, _INDEX = "saved_model.pb", "variables/variables.index"
_WEIGHTS = "variables/variables.data-00000-of-00001"
_CARD = f"{_COPY}/{MODEL_CARD_FILE}"
_RECORD = f"model_run/{TRAINING_RECORD_FILE}"
_CLASSES = f"class_weights/{CLASS_WEIGHTS_FILE}"
_EVAL = f"examples/Split-eval/{EXAMPLES}"
_METRICS = "metrics-00000-of-00001.tfrecord"
_IRIS = [5.1, 3.5, 1.4, 0.2]


def _findings_of(guard):
    return f"{guard}_findings/{FINDINGS_FILE}"


def _raises(check):
    def fail(evidence):
        raise ArithmeticError("this check is broken")

    fail.__name__ = check.__name__

    def inject(bench):
        checks = tuple(fail if each is check else each for each in CHECKS)
        bench.patch("components.guarded_evaluator.executor.CHECKS", checks)

    return inject


def _configure(**changes):
    def inject(bench):
        config = json.loads(bench.properties["config"]) | changes
        bench.properties["config"] = json.dumps(config)

    return inject


def _write(split, *records):
    return lambda bench: write_split(bench.root / "examples", split, records)


def _serve(answer, **signature):
    """Puts another serving model in the place of the trained one."""

    def inject(bench):
        bench.remove(_SERVING)
        save_signature(bench.root / _SERVING, answer, **signature)

    return inject


def _serve_noise(points):
    return tf.nn.softmax(points[:, :3] + tf.random.normal(tf.shape(points[:, :3])))


def _serve_nan(points):
    return points[:, :3] / tf.zeros(()) * 0.0


def _serve_error(points):
    with tf.control_dependencies([tf.debugging.assert_less(points, -1.0)]):
        return tf.nn.softmax(points[:, :3])


def _rewrite_metrics(change):
    """Changes what TFMA has written, slice by slice, before it is read."""

    def spoil(folder):
        path = str(folder / _METRICS)
        records = [
            metrics_for_slice_pb2.MetricsForSlice.FromString(record)
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
        ]
        with tf.io.TFRecordWriter(path) as writer:
            for record in filter(change, records):
                writer.write(record.SerializeToString())

    return lambda bench: bench.when_measured(spoil)


def _with_nan(model, metric, index):
    """Makes one number of the evaluation split NaN."""

    def change(record):
        [key] = record.slice_key.single_slice_keys[:1] or [None]
        for item in record.metric_keys_and_values:
            of_eval = key is not None and key.bytes_value == b"eval"
            if of_eval and (item.key.model_name, item.key.name) == (model, metric):
                item.value.array_value.float64_values[index] = np.nan
        return True

    return _rewrite_metrics(change)


def _with_other_types(record):
    for item in record.metric_keys_and_values:
        item.value.double_value.value = 0.5
    return True


def _without_candidate(record):
    kept = [i for i in record.metric_keys_and_values if i.key.model_name != "candidate"]
    del record.metric_keys_and_values[:]
    record.metric_keys_and_values.extend(kept)
    return True


def _without_comparisons(record):
    kept = [i for i in record.metric_keys_and_values if "paired" not in i.key.name]
    del record.metric_keys_and_values[:]
    record.metric_keys_and_values.extend(kept)
    return True


def _without_eval(record):
    keys = record.slice_key.single_slice_keys
    return all(key.bytes_value != b"eval" for key in keys)


def _spoil_metrics(spoil):
    return lambda bench: bench.when_measured(lambda folder: spoil(folder / _METRICS))


def _fail_to_measure(error):
    def fail(folder):
        raise error

    return lambda bench: bench.when_measured(fail)


def _write_to_model(bench):
    late = bench.root / _SERVING / "late.txt"
    bench.when_measured(lambda folder: late.write_text("a late write"))


def _limit_files(num_bytes):
    """Lets no file grow beyond a size, as on a full disk."""

    def inject(bench):
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, most))
        bench.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))

    return inject


CHECK_FAULTS = tuple(
    Fault(
        f"the check {check.__name__} raises",
        _raises(check),
        f"{check.__name__.removeprefix('check_')} could not run: ArithmeticError: "
        "this check is broken",
    )
    for check in CHECKS
)

INPUT_FAULTS = (
    Fault(
        "findings of class balance gone",
        remove(_findings_of("class_balance")),
        "no such file",
    ),
    Fault(
        "findings of the features cut off",
        cut(_findings_of("feature")),
        "expected a Verdict as JSON",
    ),
    Fault(
        "findings of the leakage validator are no text",
        overwrite(_findings_of("leakage")),
        "cannot be read .UnicodeDecodeError",
    ),
    Fault(
        "findings of training are a folder",
        make_folder(_findings_of("training")),
        "training_findings.*Is a directory",
    ),
    Fault(
        "findings may not be read",
        forbid(_findings_of("leakage")),
        "[Pp]ermission denied",
    ),
    Fault(
        "findings emptied to an empty object",
        overwrite(_findings_of("leakage"), b"{}"),
        "findings: is missing",
    ),
    Fault(
        "findings taken out of their file by hand",
        lambda bench: bench.find_leak(then_empty=True),
        "0 of them block, and the artifact's property says 1",
    ),
    Fault(
        "findings with an unknown cause",
        overwrite(
            _findings_of("feature"),
            b'{"findings": [{"cause": "aliens", "severity": "warn", "message": "", '
            b'"remedy": ""}]}',
        ),
        "no cause 'aliens'",
    ),
    Fault(
        "findings of a newer format",
        edit(_findings_of("feature"), format_version=2),
        "format_version",
    ),
    Fault(
        "a blocking finding from before training",
        lambda bench: bench.find_leak(),
        "duplicate_leakage",
    ),
    Fault("training record cut off", cut(_RECORD), "TrainingRecord"),
    Fault(
        "training record of a newer format",
        edit(_RECORD, format_version=99),
        "format_version",
    ),
    Fault("class weights gone", remove(_CLASSES), "no such file"),
    Fault("class weights cut off", cut(_CLASSES), "expected a ClassTable as JSON"),
    Fault(
        "class weights of other classes",
        edit(_CLASSES, labels=["a", "b", "c"]),
        "knows 3 others or in another order",
    ),
    Fault("model card cut off", cut(_CARD), "ModelCard|model card|EOF"),
    Fault(
        "model card of a newer format", edit(_CARD, format_version=99), "format_version"
    ),
    Fault(
        "a label that the model was not trained on is named",
        lambda bench: bench.properties.update(label_key="kind"),
        "`label_key`: expected 'species'",
    ),
    Fault(
        "configuration with an unknown key",
        _configure(max_mode_gpa=0.1),
        "max_mode_gpa",
    ),
    Fault(
        "configuration cut off",
        lambda bench: bench.properties.update(config='{"max_'),
        "ValidationError|JSON",
    ),
)

MODEL_FAULTS = (
    Fault("model gone", remove(_SERVING), "holds no files"),
    Fault("graph gone", remove(f"{_SERVING}/{_GRAPH}"), "saved_model.pb"),
    Fault("graph cut off", cut(f"{_SERVING}/{_GRAPH}"), "saved_model.pb"),
    Fault("graph is garbage", overwrite(f"{_SERVING}/{_GRAPH}"), "saved_model.pb"),
    Fault(
        "index of the weights gone",
        remove(f"{_SERVING}/{_INDEX}"),
        "variables",
        measured=True,
    ),
    Fault(
        "weights cut off",
        cut(f"{_SERVING}/{_WEIGHTS}"),
        "cut off|[Cc]hecksum",
        measured=True,
    ),
    Fault(
        "one bit of the weights flipped on disk",
        flip(f"{_SERVING}/{_WEIGHTS}"),
        "cut off|[Cc]hecksum",
        measured=True,
    ),
    Fault(
        "model may not be read", forbid(f"{_SERVING}/{_GRAPH}"), "[Pp]ermission denied"
    ),
    Fault(
        "model with a symbolic link",
        link(f"{_SERVING}/{_WEIGHTS}", "elsewhere"),
        "symbolic link",
    ),
    Fault("copy for judging gone", remove(_COPY), "training mode", measured=True),
    Fault(
        "graph of the copy for judging cut off",
        cut(f"{_COPY}/{_GRAPH}"),
        "training mode .*saved_model.pb",
        measured=True,
    ),
    Fault(
        "weights of the copy for judging cut off",
        cut(f"{_COPY}/{_WEIGHTS}"),
        "cut off|[Cc]hecksum",
        measured=True,
    ),
    Fault(
        "graph of the model in production cut off",
        cut(f"{_BASELINE}/{_GRAPH}"),
        "saved_model.pb",
    ),
    Fault(
        "weights of the model in production gone",
        remove(f"{_BASELINE}/{_WEIGHTS}"),
        "variables",
        measured=True,
    ),
    Fault(
        "model without the named signature",
        _serve(_serve_noise, name="other"),
        "expected the signature 'serving_default'",
    ),
    Fault("model that answers NaN", _serve(_serve_nan), "not_a_number", measured=True),
    Fault(
        "model that answers something else each time",
        _serve(_serve_noise),
        "batch_dependence",
        measured=True,
    ),
    Fault("model that raises", _serve(_serve_error), "check_failed", measured=True),
    Fault(
        "model that changes while it is judged", _write_to_model, "its files changed"
    ),
)

EXAMPLE_FAULTS = (
    Fault(
        "examples of the evaluation split gone",
        remove("examples/Split-eval"),
        "Split-eval",
        measured=True,
    ),
    Fault("examples cut off", cut(_EVAL), "Split-eval|TFRecord|record", measured=True),
    Fault(
        "examples are garbage",
        overwrite(_EVAL),
        "Split-eval|TFRecord|gzip|record",
        measured=True,
    ),
    Fault("empty evaluation split", _write("eval"), "eval", measured=True),
    Fault("empty training split", _write("train"), "train", measured=True),
    Fault(
        "evaluation split of three examples",
        _write(
            "eval",
            *(
                make_example(label, _IRIS)
                for label in (b"setosa", b"versicolor", b"virginica")
            ),
        ),
        "insufficient_evidence",
        measured=True,
    ),
    Fault(
        "examples without labels",
        _write("eval", make_example(None, _IRIS)),
        "species",
        measured=True,
    ),
    Fault(
        "a label that the model does not know",
        _write("eval", make_example(b"rose", _IRIS)),
        "rose",
        measured=True,
    ),
    Fault(
        "examples without a feature of the model",
        _write("eval", make_example(b"setosa", None)),
        "sizes",
        measured=True,
    ),
    Fault(
        "a slice by a feature that no example has",
        _configure(slices=["hospital"]),
        "hospital",
        measured=True,
    ),
)

MEASUREMENT_FAULTS = (
    Fault(
        "the loss is NaN",
        _with_nan("candidate", "outcome_sums", 1),
        "NaN|nan|finite",
    ),
    Fault(
        "a count is NaN",
        _with_nan("training", "outcome_sums", -1),
        "NaN|nan|finite",
    ),
    Fault(
        "a distance between two modes is NaN",
        _with_nan("training", "paired_outcomes", 4),
        "NaN|nan|finite",
    ),
    Fault(
        "metrics of other types than expected",
        _rewrite_metrics(_with_other_types),
        "check_failed",
    ),
    Fault(
        "the candidate is missing from TFMA's output",
        _rewrite_metrics(_without_candidate),
        "check_failed",
    ),
    Fault(
        "the comparisons are missing from TFMA's output",
        _rewrite_metrics(_without_comparisons),
        "check_failed",
    ),
    Fault(
        "the evaluation split is missing from TFMA's output",
        _rewrite_metrics(_without_eval),
        "eval",
    ),
    Fault(
        "TFMA's output cut off",
        _spoil_metrics(lambda path: path.write_bytes(path.read_bytes()[:-200])),
        "check_failed",
    ),
    Fault(
        "TFMA's output empty",
        _spoil_metrics(lambda path: path.write_bytes(b"")),
        "check_failed",
    ),
    Fault(
        "TFMA's output gone", _spoil_metrics(lambda path: path.unlink()), "check_failed"
    ),
    Fault(
        "memory runs out while measuring",
        _fail_to_measure(MemoryError("no more")),
        "MemoryError: no more",
    ),
    Fault(
        "disk full while measuring",
        _limit_files(2000),
        "File too large|[Nn]o space|check_failed",
        measured=True,
    ),
)

SLICE_FAULTS = (
    Fault(
        "a slice of too few examples to judge it by",
        _configure(slices=["site"]),
        "site=south",
        "the others are judged; the verdict tells which one was not",
        measured=True,
    ),
)
