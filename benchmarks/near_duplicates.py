# SPDX-License-Identifier: Apache-2.0
"""Compares the search for near-duplicate pictures with imagededup's pHash.

Both see the same pictures and the same transforms of them in one process, and are
timed by the processor time that they take, on one core.
A pair of a transformed picture and its original is right, any other pair is wrong.
imagededup, PyWavelets and scikit-image (for its pictures) must be importable:

    .tools/bin/uv pip install --python .venv/bin/python --no-deps \
        --target runs/benchmark-packages imagededup PyWavelets scikit-image
    PYTHONPATH=runs/benchmark-packages .venv/bin/python benchmarks/near_duplicates.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # Before numpy is imported.

import argparse
import importlib.util
import io
import math
import pathlib
import statistics
import sys
import time
import types

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from components.leakage.perceptual.pictures import PictureModel

_MAX_SIDE = 640  # Pixels; larger pictures are reduced first.
_TILE = 256
_TILES_PER_PICTURE = 12
_MIN_DEVIATION = 10  # Grey levels; a tile of plain sky can be told by nobody.
_MAX_CANDIDATES = 4  # Of a query that are verified, as the validator does.
_PHASH_LIMIT = 10  # imagededup's default.
_SELF_SIMILAR = ("chessboard", "motorcycle_right", "multipage", "phantom")


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(_encode(picture, quality))).convert("RGB")


def _encode(picture: Image.Image, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _resize(picture: Image.Image, x: float, y: float) -> Image.Image:
    size = max(1, round(picture.width * x)), max(1, round(picture.height * y))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _crop(
    picture: Image.Image, left: float, top: float, right: float, bottom: float
) -> Image.Image:
    w, h = picture.size
    box = (w * left, h * top, w * (1 - right), h * (1 - bottom))
    return picture.crop(tuple(round(edge) for edge in box))


def _rotate(picture: Image.Image, degrees: float, expand: bool = False) -> Image.Image:
    return picture.rotate(degrees, Image.Resampling.BICUBIC, expand=expand)


def _rotate_inside(picture: Image.Image, degrees: float) -> Image.Image:
    """Rotates and crops to the largest rectangle without a filled corner."""
    w, h = picture.size
    cos, sin = math.cos(math.radians(degrees)), abs(math.sin(math.radians(degrees)))
    long, short = max(w, h), min(w, h)
    if short <= 2 * sin * cos * long:
        half = 0.5 * short
        wide, high = (half / sin, half / cos) if w >= h else (half / cos, half / sin)
    else:
        wide = (w * cos - h * sin) / (cos**2 - sin**2)
        high = (h * cos - w * sin) / (cos**2 - sin**2)
    x, y = (1 - wide / w) / 2, (1 - high / h) / 2
    return _crop(_rotate(picture, degrees), x, y, x, y)


def _gamma(picture: Image.Image, power: float) -> Image.Image:
    return picture.point([round(255 * (i / 255) ** power) for i in range(256)] * 3)


_TRANSFORMS = {
    "resized to 50 %": lambda p: _resize(p, 0.5, 0.5),
    "resized to 30 %": lambda p: _resize(p, 0.3, 0.3),
    "enlarged to 150 %": lambda p: _resize(p, 1.5, 1.5),
    "squeezed to 75 %": lambda p: _resize(p, 1, 0.75),
    "JPEG quality 60": lambda p: _jpeg(p, 60),
    "JPEG quality 20": lambda p: _jpeg(p, 20),
    "brightness 130 %": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "brightness 70 %": lambda p: ImageEnhance.Brightness(p).enhance(0.7),
    "contrast 140 %": lambda p: ImageEnhance.Contrast(p).enhance(1.4),
    "contrast 60 %": lambda p: ImageEnhance.Contrast(p).enhance(0.6),
    "gamma 0.7": lambda p: _gamma(p, 0.7),
    "gamma 1.4": lambda p: _gamma(p, 1.4),
    "crop 10 % left": lambda p: _crop(p, 0.1, 0, 0, 0),
    "crop 10 % bottom": lambda p: _crop(p, 0, 0, 0, 0.1),
    "crop 10 % left, top": lambda p: _crop(p, 0.1, 0.1, 0, 0),
    "crop 5 % all sides": lambda p: _crop(p, 0.05, 0.05, 0.05, 0.05),
    "crop 10 % all sides": lambda p: _crop(p, 0.1, 0.1, 0.1, 0.1),
    "rotate 3": lambda p: _rotate(p, 3),
    "rotate -5": lambda p: _rotate(p, -5),
    "rotate 10": lambda p: _rotate(p, 10),
    "rotate -10, enlarged": lambda p: _rotate(p, -10, expand=True),
    "rotate 10, cropped": lambda p: _rotate_inside(p, 10),
    "several": lambda p: _jpeg(
        _resize(
            _crop(ImageEnhance.Brightness(p).enhance(1.15), 0.05, 0.03, 0, 0), 0.6, 0.6
        ),
        50,
    ),
    "mirrored": ImageOps.mirror,
}


class _Ours:
    name = "ours"

    def __init__(self, mirrored: bool):
        self._model = PictureModel(mirrored)

    def prepare(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([self._model.describe(picture) for picture in pictures])

    def hash_references(self, descriptors: np.ndarray) -> tuple:
        return self._model.index(descriptors)

    def search(self, queries: np.ndarray, references: np.ndarray, index: tuple) -> set:
        keys, signatures, usable = index
        candidates: dict[int, dict[int, int]] = {}
        rows, bands, probed, words = self._model.queries(queries)
        for band in range(self._model.num_bands):
            order = np.flatnonzero(usable)
            order = order[np.argsort(keys[order, band], kind="stable")]
            mine = np.flatnonzero(bands == band)
            first = np.searchsorted(keys[order, band], probed[mine], "left")
            count = np.searchsorted(keys[order, band], probed[mine], "right") - first
            probe = np.repeat(mine, count)
            within = np.arange(len(probe)) - np.repeat(np.cumsum(count) - count, count)
            found = order[np.repeat(first, count) + within]
            different = (words[probe] ^ signatures[found]).view(np.uint8)
            distance = np.unpackbits(different, axis=1).sum(axis=1)
            for i in np.flatnonzero(distance <= self._model.max_distance):
                best = candidates.setdefault(int(rows[probe[i]]), {})
                reference = int(found[i])
                best[reference] = min(best.get(reference, 999), int(distance[i]))
        pairs = np.array(
            [
                (row, reference)
                for row, found in candidates.items()
                for reference in sorted(found, key=lambda r: (found[r], r))[
                    :_MAX_CANDIDATES
                ]
            ],
            int,
        ).reshape(-1, 2)
        background = self._model.background(queries[:256], references[:4096])
        _, near = self._model.verify(
            queries[pairs[:, 0]], references[pairs[:, 1]], background
        )
        return {(int(q), int(r)) for q, r in pairs[near]}


class _PHash:
    name = f"pHash <= {_PHASH_LIMIT}"

    def __init__(self) -> None:
        self._hasher = _imagededup_phash()

    def prepare(self, pictures: list[np.ndarray]) -> list[np.ndarray]:
        return pictures

    def hash_references(self, pictures: list[np.ndarray]) -> np.ndarray:
        texts = [self._hasher.encode_image(image_array=p) for p in pictures]
        return np.array([int(text, 16) for text in texts], np.uint64)

    def search(self, queries: list, references: list, index: np.ndarray) -> set:
        # Faster than imagededup's own search, so that only hashes are compared.
        found = set()
        for row, word in enumerate(self.hash_references(queries)):
            octets = (index ^ word).view(np.uint8).reshape(-1, 8)
            distance = np.unpackbits(octets, axis=1).sum(axis=1)
            found |= {(row, int(r)) for r in np.flatnonzero(distance <= _PHASH_LIMIT)}
        return found


def _imagededup_phash() -> object:
    """Loads imagededup's class without its CNN, which needs torch."""
    spec = importlib.util.find_spec("imagededup")
    if spec is None or not spec.submodule_search_locations:
        sys.exit(__doc__)
    package = types.ModuleType("imagededup.methods")
    package.__path__ = [spec.submodule_search_locations[0] + "/methods"]
    sys.modules["imagededup.methods"] = package
    models = types.ModuleType("imagededup.utils.models")
    models.CustomModel = object
    sys.modules["imagededup.utils.models"] = models
    sys.modules.setdefault("torch", types.ModuleType("torch"))
    return importlib.import_module("imagededup.methods.hashing").PHash(verbose=False)


def _load(folder: pathlib.Path | None, limit: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        rng.shuffle(files)
        found = [_open(path, _MAX_SIDE) for path in files[: 3 * limit]]
        return [p for p in found if p is not None and min(p.size) >= 64][:limit]
    files = []
    for package, inside in (("sklearn", "datasets/images"), ("skimage", "data")):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            sys.exit(__doc__)
        files += sorted(
            pathlib.Path(spec.submodule_search_locations[0], inside).iterdir()
        )
    found = []
    for path in files:
        if path.name.startswith(_SELF_SIMILAR):
            continue
        whole = _open(path, 100_000)
        if whole is None:
            continue
        found.append(_open(path, _MAX_SIDE))
        if whole.width * whole.height < 4 * _TILE**2:
            continue  # A tile would be a near-duplicate of the whole.
        corners = [
            (x, y)
            for x in range(0, whole.width - _TILE + 1, _TILE)
            for y in range(0, whole.height - _TILE + 1, _TILE)
        ]
        rng.shuffle(corners)
        for x, y in corners[:_TILES_PER_PICTURE]:
            tile = whole.crop((x, y, x + _TILE, y + _TILE))
            if np.asarray(tile.convert("L")).std() >= _MIN_DEVIATION:
                found.append(tile)
    return found[:limit]


def _open(path: pathlib.Path, side: int) -> Image.Image | None:
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGBA")
    except (OSError, ValueError):
        return None
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    picture = white.convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _decode(files: list[bytes]) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


def _hash_rates(arrays: list[np.ndarray], methods: list, rounds: int) -> None:
    print("\n| hashing, from decoded arrays | pictures/s (range) | ratio |")
    print("| --- | --- | --- |")
    tasks = {
        m.name: (lambda m=m: m.hash_references(m.prepare(arrays))) for m in methods
    }
    model = PictureModel()
    tasks["ours, the side that is searched for"] = lambda: model.queries(
        np.stack([model.describe(picture) for picture in arrays])
    )
    taken = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            taken[name].append(len(arrays) / (time.process_time() - started))
    base = statistics.median(taken[methods[0].name])
    for name, rates in taken.items():
        middle = statistics.median(rates)
        print(
            f"| {name} | {middle:.0f} ({min(rates):.0f} to {max(rates):.0f}) "
            f"| {middle / base:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=pathlib.Path, help="folder of pictures")
    parser.add_argument("--limit", type=int, default=400, help="pictures at most")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    arguments = parser.parse_args()
    pictures = _load(arguments.pictures, arguments.limit)
    originals = [_encode(picture) for picture in pictures]
    arrays = _decode(originals)
    sides = [max(array.shape[:2]) for array in arrays]
    print(
        f"{len(pictures)} pictures, longer side {statistics.median(sides):.0f} pixels"
    )
    phash = _PHash()
    _hash_rates(arrays, [phash, _Ours(False)], arguments.rounds)
    print(
        "\n| transform | precision, recall: pHash | ours | end to end s: pHash | ours |"
    )
    print("| --- | --- | --- | --- | --- |")
    totals: dict[str, list[tuple[float, int, int]]] = {}
    for name, transform in _TRANSFORMS.items():
        changed = [_encode(transform(picture)) for picture in pictures]
        cells, seconds = [], []
        for method in (phash, _Ours(name == "mirrored")):
            times = []
            for _ in range(arguments.rounds):
                started = time.process_time()
                references = method.prepare(_decode(originals))
                queries = method.prepare(_decode(changed))
                found = method.search(
                    queries, references, method.hash_references(references)
                )
                times.append(time.process_time() - started)
            right = sum(query == reference for query, reference in found)
            precision = right / len(found) if found else 1.0
            cells.append(f"{precision:.3f}, {right / len(pictures):.3f}")
            seconds.append(statistics.median(times))
            totals.setdefault(method.name, []).append((seconds[-1], right, len(found)))
        print(
            f"| {name} | {cells[0]} | {cells[1]} "
            f"| {seconds[0]:.2f} | {seconds[1]:.2f} |",
            flush=True,
        )
    print("\n| all transforms | precision | recall | end to end s |")
    print("| --- | --- | --- | --- |")
    for name, rows in totals.items():
        right, found = sum(row[1] for row in rows), sum(row[2] for row in rows)
        print(
            f"| {name} | {right / max(1, found):.3f} "
            f"| {right / len(pictures) / len(rows):.3f} "
            f"| {sum(row[0] for row in rows):.1f} |"
        )


if __name__ == "__main__":
    main()
