# SPDX-License-Identifier: Apache-2.0
import gzip
import io
import os

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image
from pyarrow import parquet
from sklearn import datasets

from components.errors import InputError
from components.judging.data.files import of_files
from components.judging.spec import InputSpec, ModelSpec

ROWS = np.arange(4)


def one_input(*shape, dtype="float32", num_classes=3, name="input_1"):
    return ModelSpec((InputSpec(name, shape, dtype),), False, num_classes)


@pytest.fixture(scope="module")
def table():
    """Returns iris as named columns, shuffled."""
    data = datasets.load_iris()
    order = np.random.default_rng(0).permutation(len(data.data))
    columns = {name: data.data[order, i] for i, name in enumerate(["d", "c", "b", "a"])}
    return {**columns, "label": data.target[order]}


def rows_of(table, rows):
    return {name: values[rows] for name, values in table.items()}


TRAIN, EVAL = slice(0, 100), slice(100, 150)


def write_csv(path, table):
    lines = [
        ",".join(table),
        *(",".join(map(str, r)) for r in zip(*table.values(), strict=True)),
    ]
    data = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_parquet(path, table):
    parquet.write_table(pa.table(table), path)


def write_npz(path, table):
    x = np.stack([v for name, v in table.items() if name != "label"], axis=1)
    np.savez(path, x=x, y=table["label"])


def write_tfrecord(path, table):
    with tf.io.TFRecordWriter(
        str(path), "GZIP" if path.suffix == ".gz" else ""
    ) as file:
        for row in zip(*table.values(), strict=True):
            example = tf.train.Example()
            for name, value in zip(table, row, strict=True):
                feature = example.features.feature[name]
                if isinstance(value, str | bytes):
                    value = value.encode() if isinstance(value, str) else value
                    feature.bytes_list.value.append(value)
                elif float(value).is_integer() and name == "label":
                    feature.int64_list.value.append(int(value))
                else:
                    feature.float_list.value.append(value)
            file.write(example.SerializeToString())


FORMS = [
    ("a.csv", write_csv),
    ("a.csv.gz", write_csv),
    ("a.parquet", write_parquet),
    ("a.npz", write_npz),
    ("a.tfrecord", write_tfrecord),
    ("data_tfrecord-00000-of-00001.gz", write_tfrecord),
]


@pytest.mark.parametrize(("name", "write"), FORMS)
def test_a_table_of_any_format_feeds_a_model_of_one_input(tmp_path, table, name, write):
    for split, rows in (("train", TRAIN), ("eval", EVAL)):
        (tmp_path / split).mkdir()
        write(tmp_path / split / name, rows_of(table, rows))
    with of_files(
        tmp_path / "train" / name, tmp_path / "eval" / name, one_input(4)
    ) as data:
        given = data.eval.inputs(ROWS)
        # In the order of the columns; TFRecords have none but that of the names.
        order = "abcd" if "tfrecord" in name else "dcba"
        expected = np.stack([table[c][100:104] for c in order], axis=1)
        assert np.array_equal(given, expected.astype(np.float32))
        assert np.array_equal(given, data.parse(data.eval.serialized(ROWS)))
        assert data.labels == (0, 1, 2)
        assert np.array_equal(data.eval.class_ids, table["label"][EVAL])
        assert len(data.train.hashes) == 100


def test_several_files_of_a_folder_are_one_split(tmp_path, table):
    for split, parts in (("train", (0, 50, 100)), ("eval", (100, 120, 150))):
        (tmp_path / split).mkdir()
        for i in (0, 1):
            rows = slice(parts[i], parts[i + 1])
            write_csv(tmp_path / split / f"{i}.csv", rows_of(table, rows))
    (tmp_path / "train" / "README").write_text("Not data.")
    (tmp_path / "train" / ".hidden.csv").write_text("Nor this.")
    with of_files(tmp_path / "train", tmp_path / "eval", one_input(4)) as data:
        assert np.array_equal(data.train.class_ids, table["label"][TRAIN])
        assert np.array_equal(data.eval.class_ids, table["label"][EVAL])


@pytest.fixture
def csv_pair(tmp_path, table):
    """Writes CSV files of both splits, each changed; returns their paths."""

    def write(train=lambda t: t, evaluation=lambda t: t):
        paths = tmp_path / "train.csv", tmp_path / "eval.csv"
        write_csv(paths[0], train(rows_of(table, TRAIN)))
        write_csv(paths[1], evaluation(rows_of(table, EVAL)))
        return paths

    return write


def test_texts_as_labels_are_sorted(csv_pair):
    def name(t):
        return {**t, "label": np.array(["zebra", "ant", "mule"])[t["label"]]}

    with of_files(*csv_pair(name, name), one_input(4)) as data:
        assert data.labels == ("ant", "mule", "zebra")


def test_class_names_give_another_order(csv_pair):
    def name(t):
        return {**t, "label": np.array(["zebra", "ant", "mule"])[t["label"]]}

    names = ["zebra", "ant", "mule"]
    with of_files(*csv_pair(name, name), one_input(4), class_names=names) as data:
        assert data.labels == ("zebra", "ant", "mule")


def test_integers_that_are_no_class_ids_are_sorted(csv_pair):
    def shift(t):
        return {**t, "label": t["label"] * 10 + 7}

    with of_files(*csv_pair(shift, shift), one_input(4)) as data:
        assert data.labels == (7, 17, 27)
        assert data.eval.class_ids.max() == 2


def test_columns_to_ignore_are_not_given_but_can_be_sliced_by(csv_pair):
    def add(t):
        return {
            **t,
            "site": [f"s{i % 2}" for i in range(len(t["a"]))],
            "id": range(len(t["a"])),
        }

    with of_files(*csv_pair(add, add), one_input(4), ignore=("site", "id")) as data:
        assert data.eval.inputs(ROWS).shape == (4, 4)
        assert data.eval.slice_values("site")[:3] == ["s0", "s1", "s0"]
        assert data.no_input == ("site", "id")


def test_columns_may_be_named_in_the_order_of_the_model(csv_pair, table):
    with of_files(*csv_pair(), one_input(2), features=("a", "d")) as data:
        expected = np.stack([table["a"], table["d"]], 1)[100:104].astype(np.float32)
        assert np.array_equal(data.eval.inputs(ROWS), expected)


def test_inputs_of_a_model_with_several_take_the_columns_of_their_names(
    csv_pair, table
):
    def add(t):
        return {**t, "colour": np.where(t["a"] > 1, "red", "blue")}

    spec = ModelSpec(
        (
            InputSpec("colour", (1,), "string"),
            InputSpec("b", (1,), "float32"),
            InputSpec("a", (), "float64"),
        ),
        False,
        3,
    )
    with of_files(*csv_pair(add, add), spec) as data:
        given = data.eval.inputs(ROWS)
        assert list(given) == ["colour", "b", "a"]
        assert given["a"].shape == (4,)
        assert given["a"].dtype == np.float64
        assert given["b"].shape == (4, 1)
        expected = np.where(table["a"][100:104] > 1, "red", "blue")
        assert given["colour"][:, 0].tolist() == expected.tolist()


def test_a_model_that_parses_examples_is_given_examples(csv_pair):
    spec = ModelSpec((InputSpec("examples", (), "string"),), True, 3)
    with of_files(*csv_pair(), spec) as data:
        given = data.eval.inputs(ROWS)
        assert given.tolist() == data.eval.serialized(ROWS)


def test_columns_are_reshaped_for_a_model_of_pictures(csv_pair):
    with of_files(*csv_pair(), one_input(2, 2, 1)) as data:
        assert data.eval.inputs(ROWS).shape == (4, 2, 2, 1)


def test_whole_numbers_in_one_split_are_fractions_as_in_the_other(csv_pair):
    def whole(t):
        return {**t, "a": np.round(t["a"]).astype(int)}

    with of_files(*csv_pair(lambda t: t, whole), one_input(4)) as data:
        example = tf.train.Example.FromString(data.eval.serialized([0])[0])
        assert example.features.feature["a"].float_list.value


def with_cell(name, row, value):
    def change(t):
        values = t[name].astype(object)
        values[row] = value
        return {**t, name: values}

    return change


def without(name):
    return lambda t: {key: values for key, values in t.items() if key != name}


@pytest.mark.parametrize(
    ("train", "evaluation", "message"),
    [
        (None, without("label"), r"eval.csv: expected the label 'label', but the col"),
        (
            lambda t: {("Label" if k == "label" else k): v for k, v in t.items()},
            None,
            r"train.csv: expected the label .* did you mean 'Label'",
        ),
        (None, with_cell("label", 7, ""), "eval.csv: expected one label .* row 7 has"),
        (None, with_cell("label", 7, 5), "eval.csv: .* classes 0, 1, 2 .* 5; correct"),
        (
            None,
            with_cell("label", 7, "x"),
            "eval.csv: .* classes '0', '1', '2' .* say 'x'",
        ),
        (
            lambda t: {**t, "label": t["label"] + 0.5},
            None,
            r"train.csv: expected integers or texts as the label .* [0-2][.]5",
        ),
        (lambda t: {**t, "label": t["label"] % 2}, None, "are others|labels|classes"),
        (with_cell("b", 3, ""), None, r"train.csv: .* value of 'b'.* 1 of 100 .*row 3"),
        (None, with_cell("b", 3, ""), r"eval.csv: .* value of 'b'.* 1 of 50 .* row 3"),
        (None, without("b"), r"eval.csv: expected the feature 'b'"),
        (without("b"), None, r"train.csv: .*\(4,\).* hold 3: d, c, a"),
        (
            with_cell("b", 3, "?"),
            None,
            r"train.csv: .*\(4,\).* hold 3: d, c, a \(beside 'b', which are of another",
        ),
        (lambda t: {**t, "b ": t["b"]}, None, r"hold 5: d, c, b, a, b "),
        (
            lambda t: {**t, "": t["b"]},
            None,
            r"train.csv: .* column 5 has no name.*index",
        ),
        (lambda t: {n: v[:0] for n, v in t.items()}, None, "train.csv: expected exam"),
    ],
)
def test_tables_that_do_not_fit_are_refused(csv_pair, train, evaluation, message):
    paths = csv_pair(train or (lambda t: t), evaluation or (lambda t: t))
    if "others|labels" in message:
        with of_files(*paths, one_input(4)) as data:
            # A class that training never shows is for the data guards to report.
            assert data.labels == (0, 1, 2)
        return
    with pytest.raises(InputError, match=message):
        of_files(*paths, one_input(4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.csv: expected a line with the names"),
        (b"a,b\n1,2\n3\n", "train.csv: expected rows of 2 cells.*"),
        (b"a,a\n1,2\n", "train.csv: .* column 1 is named 'a' again"),
        (b"a,b\n" * 9999 + b"\xff\xfe,2\n", "train.csv: expected rows of 2 .* UTF"),
        (b"\xff\xfe,b\n1,2\n", "train.csv: expected a CSV file in UTF-8"),
        (b"a,label\n", "train.csv: expected examples"),
    ],
)
def test_what_is_no_csv_file_is_refused(tmp_path, csv_pair, content, message):
    train, evaluation = csv_pair()
    train.write_bytes(content)
    with pytest.raises(InputError, match=message):
        of_files(train, evaluation, one_input(1))


@pytest.mark.parametrize(("name", "write"), FORMS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused(tmp_path, table, name, write, share):
    if name == "a.csv" and share:
        pytest.skip("A CSV file that is cut off is one with fewer rows.")
    (tmp_path / "cut").mkdir()
    paths = tmp_path / name, tmp_path / "cut" / name
    write(paths[0], rows_of(table, TRAIN))
    data = paths[0].read_bytes()
    paths[1].write_bytes(data[: max(int(share * len(data)) - 3, 0)])
    with pytest.raises(InputError, match="cut"):
        of_files(*paths, one_input(4))


def test_missing_and_empty_places_are_refused(tmp_path, csv_pair):
    train, evaluation = csv_pair()
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "mixed").mkdir()
    for name in ("a.csv", "a.parquet"):
        (tmp_path / "mixed" / name).write_text("x")
    for place, message in (
        ("nowhere", "there is nothing"),
        ("empty", "there are none"),
        ("x.txt", "it ends in .txt"),
        ("mixed", "csv and parquet"),
    ):
        with pytest.raises(InputError, match=f"{place}.*{message}"):
            of_files(train, tmp_path / place, one_input(4))


def test_splits_of_two_formats_are_refused(tmp_path, csv_pair, table):
    train, _ = csv_pair()
    write_parquet(tmp_path / "a.parquet", rows_of(table, EVAL))
    with pytest.raises(InputError, match=r"a.parquet: expected csv, as in .*train.csv"):
        of_files(train, tmp_path / "a.parquet", one_input(4))


def test_pickled_arrays_are_refused(tmp_path, table):
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    write_npz(good, rows_of(table, TRAIN))
    np.savez(bad, x=np.array([{"a": 1}], object), y=np.array([0]))
    with pytest.raises(InputError, match="bad.npz: .* pickled objects"):
        of_files(good, bad, one_input(4))


@pytest.mark.parametrize(
    ("arrays", "spec", "message"),
    [
        (
            {"x_train": 1, "y_train": 1},
            one_input(4),
            "expected an array 'y' .*x_train",
        ),
        ({"a": 1, "b": 1, "y": 1}, one_input(4), "expected one array 'x'"),
        ({"x": 1, "y": 1}, one_input(5), r".*float32 of shape \(5,\) .* shape \(4,\)"),
        (
            {"x": 1, "y": 1},
            ModelSpec((InputSpec("e", (), "string"),), True, 3),
            "expected tf.Examples",
        ),
        (
            {"x": 1, "y": 1},
            ModelSpec(
                (InputSpec("x", (4,), "float32"), InputSpec("z", (1,), "float32")),
                False,
                3,
            ),
            ".* each of the model's inputs 'x', 'z', but 'z'",
        ),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(tmp_path, arrays, spec, message):
    x, y = np.zeros((6, 4)), np.arange(6) % 3
    made = {name: y if name.startswith("y") else x for name in arrays}
    np.savez(tmp_path / "a.npz", **made)
    with pytest.raises(InputError, match=f"a.npz: {message}"):
        of_files(tmp_path / "a.npz", tmp_path / "a.npz", spec)


def test_an_unknown_column_is_refused_by_its_nearest_name(csv_pair):
    with pytest.raises(InputError, match="no .*|expected a column 'siet'"):
        of_files(*csv_pair(), one_input(4), ignore=("siet",))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Writes digits as pictures, one folder per class, into splits."""
    folder = tmp_path_factory.mktemp("pictures")
    data = datasets.load_digits()
    for split, rows in (("train", range(60)), ("eval", range(60, 100))):
        for i in rows:
            place = folder / split / f"d{data.target[i]}"
            place.mkdir(parents=True, exist_ok=True)
            pixels = (data.images[i] * 15).astype(np.uint8)
            Image.fromarray(pixels).resize((16, 16)).save(place / f"{i}.png")
    return folder


def of_pictures(folder, spec, **options):
    return of_files(folder / "train", folder / "eval", spec, **options)


@pytest.mark.parametrize(
    ("pixels", "least", "most"), [("0..255", 0, 255), ("0..1", 0, 1), ("-1..1", -1, 1)]
)
def test_pictures_are_decoded_and_resized_to_the_input(pictures, pixels, least, most):
    spec = one_input(8, 8, 3, num_classes=10)
    with of_pictures(pictures, spec, pixels=pixels) as data:
        given = data.eval.inputs(np.arange(40))
        assert given.shape == (40, 8, 8, 3)
        assert given.dtype == np.float32
        assert given.min() == pytest.approx(least)
        assert 0.8 * most < given.max() <= most
        assert data.labels == tuple(f"d{k}" for k in range(10))
        assert data.image_key == "image"
        assert data.no_input == ("path",)


def test_the_folder_of_both_splits_is_refused(pictures):
    with pytest.raises(InputError, match="the splits train, eval"):
        of_files(pictures, pictures / "eval", one_input(8, 8, 1, num_classes=2))


def test_pictures_are_given_as_keras_reads_them(pictures):
    import keras

    with of_pictures(pictures, one_input(12, 10, 1, num_classes=10)) as data:
        read = keras.utils.image_dataset_from_directory(
            pictures / "eval",
            image_size=(12, 10),
            color_mode="grayscale",
            shuffle=False,
            verbose=False,
        )
        images, labels = next(iter(read.unbatch().batch(40)))
        order = np.lexsort([data.eval.class_ids])
        assert np.array_equal(np.sort(labels), data.eval.class_ids[order])
        given = data.eval.inputs(np.arange(40))
        known = {
            image.numpy().tobytes(): int(k)
            for image, k in zip(images, labels, strict=True)
        }
        found = [known[image.tobytes()] for image in given]
        assert found == data.eval.class_ids.tolist()


def test_a_model_of_any_size_is_given_pictures_as_they_are(pictures):
    with of_pictures(pictures, one_input(None, None, 1, num_classes=10)) as data:
        assert data.eval.inputs(ROWS).shape == (4, 16, 16, 1)


def test_pictures_of_several_sizes_need_a_model_of_one(pictures, tmp_path):
    for i, size in enumerate(((8, 8), (9, 8))):
        for split in ("train", "eval"):
            place = tmp_path / split / f"d{i}"
            place.mkdir(parents=True)
            Image.new("L", size, 10 * i).save(place / "0.png")
    with pytest.raises(InputError, match="expected pictures of one size"):
        of_pictures(tmp_path, one_input(None, None, 1, num_classes=2))
    with of_pictures(tmp_path, one_input(4, 4, 1, num_classes=2)) as data:
        assert data.eval.inputs(np.arange(2)).shape == (2, 4, 4, 1)


def test_pictures_that_cannot_be_decoded_are_refused(pictures, tmp_path):
    for split in ("train", "eval"):
        os.symlink(pictures / "train", tmp_path / split) if split == "train" else None
    place = tmp_path / "eval"
    for k in range(10):
        (place / f"d{k}").mkdir(parents=True)
        Image.new("L", (8, 8), k).save(place / f"d{k}" / "good.png")
    (place / "d3" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(InputError, match=r"eval: .* undecodable.*d3/bad.png"):
        of_pictures(tmp_path, one_input(8, 8, 1, num_classes=10))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (one_input(8, 8, 4, num_classes=10), "1 or 3"),
        (one_input(64, num_classes=10), r"float32 of shape \(64,\).* hold 0: none"),
        (one_input(8, 8, 1, num_classes=9), "labels of 9 classes.* there are 10"),
    ],
)
def test_pictures_that_do_not_fit_the_model_are_refused(pictures, spec, message):
    with pytest.raises(InputError, match=message):
        of_pictures(pictures, spec)


def test_pictures_in_examples_are_found_by_what_they_are(tmp_path):
    def png(value):
        file = io.BytesIO()
        Image.new("L", (8, 8), value).save(file, "PNG")
        return file.getvalue()

    values = np.arange(0, 200, 10)
    table = {
        "name": [f"n{i}" for i in range(20)],
        "shot": [png(int(v)) for v in values],
        "label": np.arange(20) % 2,
    }
    write_tfrecord(tmp_path / "a.tfrecord", table)
    spec = one_input(8, 8, 1, num_classes=2)
    with of_files(tmp_path / "a.tfrecord", tmp_path / "a.tfrecord", spec) as data:
        assert data.image_key == "shot"
        assert data.eval.inputs(np.array([3]))[0, 0, 0, 0] == 30


def test_a_feature_that_holds_no_pictures_is_refused(csv_pair):
    with pytest.raises(InputError, match="encoded pictures .* as 'a'"):
        of_files(*csv_pair(), one_input(4), image="a")


def test_a_tfrecord_of_something_else_is_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as file:
        file.write(b"not an example")
    with pytest.raises(InputError, match="a.tfrecord: .* record 0 is none"):
        of_files(tmp_path / "a.tfrecord", tmp_path / "a.tfrecord", one_input(1))


def test_ragged_lists_are_refused(tmp_path):
    table = {"v": [[1.0, 2.0], [3.0]], "label": [0, 1]}
    write_parquet(tmp_path / "a.parquet", table)
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError, match="a.parquet: expected 2 values of 'v'.* row 1"):
        of_files(path, path, one_input(2, num_classes=2))


def test_lists_of_a_parquet_file_are_one_input(tmp_path):
    table = {"v": [[1.0, 2.0], [3.0, 4.0]], "label": [0, 1]}
    write_parquet(tmp_path / "a.parquet", table)
    path = tmp_path / "a.parquet"
    with of_files(path, path, one_input(2, num_classes=2)) as data:
        assert data.eval.inputs(np.arange(2)).tolist() == [[1, 2], [3, 4]]


def test_dates_are_refused_unless_ignored(tmp_path):
    dates = pa.array([0, 1], pa.timestamp("s"))
    parquet.write_table(
        pa.table({"v": [1.0, 2.0], "at": dates, "label": [0, 1]}),
        tmp_path / "a.parquet",
    )
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError, match="a.parquet: column 'at': .* timestamp"):
        of_files(path, path, one_input(1, num_classes=2))


def test_row_numbers_that_pandas_stores_are_no_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"v": [1.0, 2.0, 3.0], "label": [0, 1, 0]})[::-1]
    frame.to_parquet(tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    with of_files(path, path, one_input(1, num_classes=2)) as data:
        assert data.eval.inputs(np.arange(3)).tolist() == [[3], [2], [1]]
