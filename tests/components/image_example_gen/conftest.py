# SPDX-License-Identifier: Apache-2.0
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image


def png_chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png_of(rows, width, bits, color_type):
    """Writes a PNG of a form that Pillow does not write, from packed rows."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + png_chunk(b"IEND", b"")
    )


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.fixture(scope="session")
def photo():
    """A part of scikit-learn's photo of a temple, 90 x 64 pixels."""
    from sklearn.datasets import load_sample_images

    return Image.fromarray(load_sample_images().images[0][40:104, 100:190])


@pytest.fixture(scope="session")
def encode():
    """Encodes a Pillow image."""

    def encode(image, kind, **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def png(photo, encode):
    """Makes the bytes of as many different PNG files as are asked for."""

    def make(number):
        pixels = np.asarray(photo).copy()
        pixels[0, 0] = number >> 16, number >> 8 & 255, number & 255
        return encode(Image.fromarray(pixels[:8, :8]), "PNG")

    return make


@pytest.fixture(scope="session")
def kept(photo, encode):
    """Pictures that TensorFlow shows as people see them, by kind."""
    rng = np.random.default_rng(0)
    grey, palette = photo.convert("L"), photo.quantize(100)
    alpha = photo.copy()
    alpha.putalpha(Image.fromarray(rng.integers(0, 256, (64, 90), np.uint8)))
    turned = [photo.rotate(180)]
    deep = rng.integers(0, 2**16, (64, 90), np.uint16)
    rows = [row.astype(">u2").tobytes() for row in deep]
    plain = encode(photo, "PNG")
    return {
        "png-1-bit": encode(photo.convert("1"), "PNG"),
        "png-2-bit-grey": png_of([b"\x1b\xe4"] * 8, 8, 2, 0),
        "png-4-bit-grey": png_of([b"\x01\x9f"] * 8, 4, 4, 0),
        "png-grey": encode(grey, "PNG"),
        "png-grey-alpha": encode(alpha.convert("LA"), "PNG"),
        "png-palette": encode(palette, "PNG"),
        "png-palette-transparent": encode(palette, "PNG", transparency=b"\0\x80\xff"),
        "png-rgb": plain,
        "png-rgb-transparent": encode(photo, "PNG", transparency=(1, 2, 3)),
        "png-rgb-alpha": encode(alpha, "PNG"),
        "png-16-bit-grey": encode(Image.fromarray(deep), "PNG"),
        "png-16-bit-rgb": png_of([row * 3 for row in rows], 90, 16, 2),
        "png-gamma": plain[:33] + png_chunk(b"gAMA", b"\0\1\x86\xa0") + plain[33:],
        "png-upright": encode(photo, "PNG", exif=exif(1)),
        "png-animated": encode(photo, "PNG", save_all=True, append_images=turned),
        "jpeg-grey": encode(grey, "JPEG"),
        "jpeg-rgb": encode(photo, "JPEG"),
        "jpeg-without-subsampling": encode(photo, "JPEG", subsampling=0),
        "jpeg-stored-as-rgb": encode(photo, "JPEG", keep_rgb=True),
        "jpeg-progressive": encode(photo, "JPEG", progressive=True),
        "jpeg-upright": encode(photo, "JPEG", exif=exif(1)),
        "jpeg-senseless-orientation": encode(photo, "JPEG", exif=exif(9)),
        "jpeg-of-a-phone": encode(photo, "MPO", save_all=True, append_images=turned),
        "bmp-grey": encode(grey, "BMP"),
        "bmp-rgb": encode(photo, "BMP"),
        "bmp-rgb-32-bit": encode(alpha, "BMP"),
        "gif": encode(palette, "GIF"),
        "gif-grey": encode(grey, "GIF"),
        "gif-animated": encode(photo, "GIF", save_all=True, append_images=turned),
    }


@pytest.fixture(scope="session")
def rewritten(photo, encode):
    """Pictures that TensorFlow cannot read or shows otherwise, by kind and reason."""
    palette = photo.quantize(100)
    grey, turned = photo.convert("L"), [photo.rotate(180)]
    rle, os2 = bytearray(encode(grey, "BMP")), encode(photo, "BMP")
    # One run of 90 black pixels per line, then the end of the line.
    runs = b"\x5a\0\0\0" * 64 + b"\0\1"
    rle[30:38] = struct.pack("<II", 1, len(runs))
    rle = bytes(rle[: 54 + 1024]) + runs
    # As Windows 1 and OS/2 1 wrote it: a short header, sizes of 16 bits.
    short = b"BM" + struct.pack("<IHHI", len(os2) - 28, 0, 0, 26)
    os2 = short + struct.pack("<IHHHH", 12, 90, 64, 1, 24) + os2[54:]
    partial = bytearray(encode(palette, "GIF"))
    at = partial.index(b",", 13 + 3 * 128)  # The frame's place on the canvas.
    partial[6:8], partial[at + 1 : at + 3] = b"\x64\0", b"\5\0"
    found = {
        ("jpeg-cmyk", "cmyk"): encode(photo.convert("CMYK"), "JPEG"),
        ("webp", "webp"): encode(photo, "WEBP"),
        ("webp-lossless", "webp"): encode(photo, "WEBP", lossless=True),
        ("webp-alpha", "webp"): encode(photo.convert("RGBA"), "WEBP"),
        ("webp-animated", "webp"): encode(
            photo, "WEBP", save_all=True, append_images=turned
        ),
        ("webp-on-its-side", "webp"): encode(photo, "WEBP", exif=exif(6)),
        ("png-on-its-side", "exif_orientation"): encode(photo, "PNG", exif=exif(8)),
        ("bmp-1-bit", "bmp_variant"): encode(photo.convert("1"), "BMP"),
        ("bmp-palette", "bmp_variant"): encode(palette, "BMP"),
        ("bmp-run-length", "bmp_variant"): rle,
        ("bmp-os2", "bmp_variant"): os2,
        ("gif-transparent", "gif_variant"): encode(palette, "GIF", transparency=3),
        ("gif-partial-frame", "gif_variant"): bytes(partial),
        # Whole but for its last chunk; TensorFlow refuses it.
        ("png-without-end", "unreadable_by_tensorflow"): encode(photo, "PNG")[:-12],
    }
    for turn in range(2, 9):
        found[f"jpeg-grey-orientation-{turn}", "exif_orientation"] = encode(
            grey, "JPEG", exif=exif(turn)
        )
    return found


@pytest.fixture
def make_folder(tmp_path):
    """Writes files by path (bytes or str) below a folder, and returns the folder.

    Without content, only the file's folder is made.
    """

    def make(files, name="photos"):
        base = tmp_path / name
        base.mkdir(exist_ok=True)
        for path, content in files.items():
            path = path if isinstance(path, bytes) else path.encode()
            file = bytes(base) + b"/" + path
            os.makedirs(os.path.dirname(file), exist_ok=True)
            if content is not None:
                with open(file, "wb") as out:
                    out.write(content)
        return base

    return make


@pytest.fixture(scope="session")
def read_examples():
    """Reads an Examples artifact: features by path, by split."""
    import tensorflow as tf
    from tfx.components.util import examples_utils

    def values(feature):
        return list(getattr(feature, feature.WhichOneof("kind")).value)

    def read(examples):
        found = {}
        for split in examples.splits:
            (pattern,) = examples_utils.get_split_file_patterns([examples], split)
            records = tf.data.TFRecordDataset(tf.io.gfile.glob(pattern), "GZIP")
            found[split] = {}
            for record in records.as_numpy_iterator():
                features = tf.train.Example.FromString(record).features.feature
                example = {name: values(each) for name, each in features.items()}
                (path,) = example.pop("path")
                assert path not in found[split]
                found[split][path] = example
        return found

    return read
