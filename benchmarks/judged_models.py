# SPDX-License-Identifier: Apache-2.0
"""Counts which models the gate blocks, what it names first, and whom it wrongs.

Models that fail in use (`recipes/failing_in_use.py`) and models that are sound
(`recipes/sound_in_use.py`), each with several seeds, are trained by plain Keras and
judged by `components.judge`:

    .venv/bin/python benchmarks/judged_models.py --seeds 3 --output runs/judged

The output folder keeps weights, numbers, verdicts and what the data guards found, and
goes on where it stopped; `--again` judges anew without training, `--guards-again`
looks through the data anew as well (models of the same data share it otherwise, since
it takes most of the time). What was measured is gathered in one file, `--results`, over
which `limits.py` sweeps the limits without any model.

Whether a model fails or is sound is first a matter of construction, and then checked
by numbers of rows that the gate never sees (`recipes/judged.py`). A fault that does no
harm with a seed, and a model meant to be sound that is not, are left out and named.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import collections
import gzip
import hashlib
import json
import math
import pathlib
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

AIMS = {"blocked": 0.99, "first cause right": 0.9, "falsely blocked": 0.01}
HALVES = ("choosing", "confirming", "all")


def recipes() -> dict[str, Any]:
    """Returns all models by name."""
    from recipes.failing_in_use import FAILING
    from recipes.sound_in_use import SOUND

    found = {recipe.name: recipe for recipe in (*FAILING, *SOUND)}
    if len(found) < len(FAILING) + len(SOUND):
        raise ValueError("Two recipes have the same name.")
    return found


def trained(recipe: Any, seed: int, folder: pathlib.Path) -> tuple[Any, Any]:
    """Returns the model as it is used, and its rows; trains it only once."""
    import keras
    import numpy as np

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    data = recipe.data(seed)
    model = recipe.model(data)
    model.jit_compile = False  # Compiling takes longer than these trainings.
    file = folder / f"{recipe.name}-{seed}.npz"
    if file.exists():
        kept = np.load(file)
        model.set_weights([kept[str(i)] for i in range(len(kept.files))])
    else:
        rows = (recipe.fit(seed) if recipe.fit else data).train
        options = dict(recipe.options)
        if "callbacks" in options:
            options["callbacks"] = options["callbacks"]()
        model.fit(
            rows.x,
            rows.y,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            verbose=0,
            **options,
        )
        weights = {str(i): w for i, w in enumerate(model.get_weights())}
        np.savez(file, **weights)
    keras.utils.set_random_seed(1000 + seed)
    return recipe.after(model, data), data


def in_use(recipe: Any, model: Any, data: Any, seed: int) -> dict[str, Any]:
    """Returns the numbers that say whether the model fails in use."""
    import keras
    from recipes.judged import numbers

    if recipe.judging.get("from_logits"):
        model = keras.Sequential([model, keras.layers.Softmax()])
    return numbers(model, data, seed)


def guarded_once(find: Any, data: Any, folder: pathlib.Path, again: bool) -> Any:
    """Returns the data guards, which look at the same rows only once."""
    from components.findings import Finding

    digest = hashlib.sha256()
    for rows in (data.train, data.eval):
        digest.update(f"{rows.x.dtype} {rows.x.shape}".encode())
        digest.update(rows.x.tobytes() + rows.y.tobytes())
    file = folder / f"guards-{digest.hexdigest()[:20]}.json"

    def looked_up(*arguments, **options):
        if file.exists() and not again:
            told = json.loads(file.read_text())
            return tuple(Finding.model_validate(finding) for finding in told)
        findings = find(*arguments, **options)
        file.write_text(json.dumps([f.model_dump(mode="json") for f in findings]))
        return findings

    return looked_up


def judged(
    recipe: Any, model: Any, data: Any, folder: pathlib.Path, guards_again: bool
) -> dict[str, Any]:
    """Returns the verdict, and all that it rests on, as JSON."""
    import components
    from components.errors import InputError
    from components.judging import concluding
    from components.judging.data import guards

    options = {"batch_size": recipe.batch_size, **recipe.judging}
    if recipe.sliced:
        options["slices"] = {"site": (data.train.site, data.eval.site)}
    seen: list[Any] = []

    def recorded(evidence, checks):
        seen.append(evidence)
        return decide(evidence, checks)

    decide = concluding.decide
    started = time.monotonic()
    find = guarded_once(guards.find, data, folder, guards_again)
    with (
        mock.patch.object(concluding, "decide", recorded),
        mock.patch.object(guards, "find", find),
    ):
        try:
            verdict = components.judge(
                model,
                (data.train.x, data.train.y),
                (data.eval.x, data.eval.y),
                **options,
            )
        except InputError as error:
            return {"refused": str(error), "seconds": time.monotonic() - started}
    result = {
        "verdict": outcome(verdict),
        "not_run": list(verdict.not_run),
        "seconds": time.monotonic() - started,
    }
    if seen:
        (evidence,) = seen
        result["evidence"] = {
            "config": evidence.config.model_dump(mode="json", exclude_defaults=True),
            "evaluation": evidence.evaluation.model_dump(
                mode="json", exclude_defaults=True
            ),
            "upstream": [
                finding.model_dump(mode="json", exclude_defaults=True)
                for finding in evidence.upstream
            ],
            "batch_norm": [
                drift.model_dump(mode="json") for drift in evidence.batch_norm
            ],
        }
    return result


def outcome(verdict: Any) -> dict[str, Any]:
    """Returns what a verdict says, shortly."""
    return {
        "blocking": [finding.cause for finding in verdict.blocking],
        "messages": [finding.message for finding in verdict.blocking[:3]],
        "warnings": sorted(
            {f.cause for f in verdict.findings if f.severity.value == "warn"}
        ),
    }


def classify(recipe: Any, numbers: Mapping, sibling: Mapping | None) -> list[str]:
    """Returns why a model is not what it was meant to be; nothing where it is."""
    from recipes.judged import HARMS, troubles

    if not recipe.causes:
        return troubles(numbers)
    return [] if HARMS[recipe.harm](numbers, sibling) else ["does no harm"]


def gathered(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Returns all that was judged, with the truth about each model."""
    table = recipes()
    numbers = {
        file.name.removesuffix(".use.json"): json.loads(file.read_text())
        for file in folder.glob("*.use.json")
    }
    cases = []
    for file in sorted(folder.glob("*.judged.json")):
        label = file.name.removesuffix(".judged.json")
        name, _, seed = label.rpartition("-")
        recipe = table.get(name)
        if recipe is None:
            continue
        sibling = numbers.get(f"{recipe.like}-{seed}") if recipe.like else None
        cases.append(
            {
                "name": name,
                "seed": int(seed),
                "half": recipe.half,
                "causes": list(recipe.causes),
                "left_out": classify(recipe, numbers[label], sibling),
                "accuracy": numbers[label]["accuracy"],
                **json.loads(file.read_text()),
            }
        )
    return cases


def counts(
    cases: Iterable[Mapping[str, Any]],
) -> dict[str, tuple[int, int]]:
    """Counts hits and totals of what `AIMS` names, over models that count.

    A model that is refused is blocked, and named rightly: the reason is an error
    message, which the recipe's causes do not know.
    """
    cases = [case for case in cases if not case["left_out"]]
    failing = [case for case in cases if case["causes"]]
    sound = [case for case in cases if not case["causes"]]
    return {
        "blocked": (sum(map(is_blocked, failing)), len(failing)),
        "first cause right": (sum(map(is_named, failing)), len(failing)),
        "falsely blocked": (sum(map(is_blocked, sound)), len(sound)),
    }


def is_blocked(case: Mapping[str, Any]) -> bool:
    """Returns whether the model does not get through."""
    return "refused" in case or bool(case["verdict"]["blocking"])


def is_named(case: Mapping[str, Any]) -> bool:
    """Returns whether the first cause is one of the right ones."""
    if "refused" in case:
        return True
    return bool(case["verdict"]["blocking"][:1]) and (
        case["verdict"]["blocking"][0] in case["causes"]
    )


def interval(hits: int, total: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share (Clopper and Pearson 1934)."""
    from scipy import stats

    if not total:
        return 0.0, 1.0
    ends = stats.binomtest(hits, total).proportion_ci(0.95, "exact")
    return float(ends.low), float(ends.high)


def summary(cases: list[dict[str, Any]]) -> str:
    """Returns the table, and the failures by name."""
    lines = [f"{'half':<12} {'what':<18} {'count':>9} {'share':>7}  95 % interval"]
    for half in HALVES:
        chosen = [case for case in cases if half in ("all", case["half"])]
        for what, (hits, total) in counts(chosen).items():
            low, high = interval(hits, total)
            share = hits / total if total else math.nan
            lines.append(
                f"{half:<12} {what:<18} {hits:>4}/{total:<4} {share:>7.1%}  "
                f"{low:.1%} to {high:.1%}   aim {AIMS[what]:.0%}"
            )
    seeds = collections.Counter(case["seed"] for case in cases)
    lines.append(f"models by seed: {dict(sorted(seeds.items()))}")
    return "\n".join([*lines, *filter(None, map(_problem, cases))])


def _problem(case: Mapping[str, Any]) -> str | None:
    label = f"{case['name']}#{case['seed']}"
    told = json.dumps(case.get("verdict") or case["refused"])[:500]
    if case["left_out"]:
        return f"left out    {label}: {', '.join(case['left_out'])} {told[:120]}"
    if not case["causes"]:
        return f"false block {label}: {told}" if is_blocked(case) else None
    if not is_blocked(case):
        return f"missed      {label}: {case['accuracy']} {told}"
    return None if is_named(case) else f"wrong name  {label}: {case['causes']} {told}"


def run(name: str, seed: int, folder: pathlib.Path, arguments: Any) -> str | None:
    """Trains and judges what has not been yet; returns a line about it."""
    recipe = recipes()[name]
    numbers_file = folder / f"{name}-{seed}.use.json"
    judged_file = folder / f"{name}-{seed}.judged.json"
    is_judged = arguments.train_only or (judged_file.exists() and not arguments.again)
    if numbers_file.exists() and is_judged:
        return None
    started = time.monotonic()
    model, data = trained(recipe, seed, folder)
    if not numbers_file.exists():
        numbers_file.write_text(json.dumps(in_use(recipe, model, data, seed)))
    told = json.loads(numbers_file.read_text())["accuracy"]
    if not is_judged:
        told = judged(recipe, model, data, folder, arguments.guards_again)
        judged_file.write_text(json.dumps(told))
        told = told.get("verdict") or told["refused"]
    return f"{name}#{seed} {time.monotonic() - started:.1f} s {json.dumps(told)[:300]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="parts of names, with commas")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--again", action="store_true", help="judge anew")
    parser.add_argument("--guards-again", action="store_true", help="with --again")
    parser.add_argument("--results", type=pathlib.Path, help="a .json.gz file to write")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        # Mixed, so that a run that was cut short tells something of every kind.
        for name in sorted(recipes(), key=lambda n: hashlib.sha1(n.encode()).digest()):
            if any(part in name for part in arguments.only.split(",")):
                try:
                    line = run(name, seed, arguments.output, arguments)
                except Exception:
                    line = f"crashed {name}#{seed}\n{traceback.format_exc()[-2000:]}"
                if line:
                    print(line, flush=True)
    cases = gathered(arguments.output)
    if cases:
        print(summary(cases))
    if arguments.results:
        arguments.results.write_bytes(packed(cases))


def packed(cases: list[dict[str, Any]]) -> bytes:
    """Returns the cases as compressed JSON, the same bytes for the same cases."""
    return gzip.compress(json.dumps(cases, separators=(",", ":")).encode(), mtime=0)


if __name__ == "__main__":
    main()
