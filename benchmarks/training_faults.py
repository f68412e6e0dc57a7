# SPDX-License-Identifier: Apache-2.0
"""Counts what the GuardedTrainer finds, names, mends and takes for a fault.

Runs recipes that fail and recipes that do not (`recipes/`), each with several seeds,
through `fit_guarded`:

    .venv/bin/python benchmarks/training_faults.py --seeds 3 --output runs/faults.json

A failing training is detected if something blocks it, or if it was answered with a
remedy; its cause is right if the finding that blocks it and is named first, or else a
remedy, is of a cause that the recipe names. It is mended if nothing blocks and the
evaluation rows show 90 % of what the healthy recipe beside it gains over guessing, or
no less than chance explains. A healthy training that is blocked is a false alarm. A
fault that does no harm with some seed (no remedy was taken, and three quarters of that
gain are there) is no failure, and is left out; so is a healthy recipe that comes to
nothing by itself with some seed (less than a tenth of the possible gain). Both are
named.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import collections
import concurrent.futures
import json
import math
import multiprocessing
import pathlib
import sys
import time
import warnings
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

_PLAN = {"epochs": 20, "batch_size": 32, "min_held_out": 20}
_HARMLESS = 0.75
_NOTHING = 0.1
_AIMS = {"detected": 0.98, "right cause": 0.9, "mended": 0.95, "false alarms": 0.01}


def run(name: str, seed: int) -> dict[str, Any]:
    """Runs one recipe with one seed; returns what came of it, as JSON."""
    warnings.filterwarnings("ignore")
    import keras

    from components.errors import InputError
    from components.findings import Verdict
    from components.guarded_trainer.config import TrainingConfig
    from components.guarded_trainer.fit_guarded import fit_guarded

    recipe = _recipes()[name]
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    started = time.monotonic()
    data = recipe.data(seed)
    model = recipe.model(data)
    result: dict[str, Any] = {
        "recipe": name,
        "seed": seed,
        "half": recipe.half,
        "failing": bool(recipe.causes),
        "prior": data.prior,
        "rows": len(data.y_eval),
    }
    config = TrainingConfig(**{**_PLAN, "seed": seed, **recipe.config})
    try:
        record = fit_guarded(
            model, (data.x, data.y), (data.x_eval, data.y_eval), config=config
        )
    except InputError as error:
        result |= {"blocked": True, "refused": str(error), "accuracy": None}
    else:
        verdict = Verdict.of(record.findings)
        result |= {
            "blocked": not verdict.passed,
            "causes": [finding.cause for finding in verdict.blocking],
            "messages": [finding.message for finding in verdict.blocking],
            "others": sorted(
                {
                    f"{f.severity.value}:{f.cause}"
                    for f in record.findings
                    if not f.blocks
                }
            ),
            "remedies": [[r.action, r.cause] for r in record.remedies],
            "recalibrated": bool(record.recalibration and record.recalibration.kept),
            "stopped": record.stopped_because,
            "epochs": len(record.epochs),
            "accuracy": _accuracy(model, data),
        }
    return result | {"seconds": time.monotonic() - started}


def _accuracy(model, data) -> float:
    import numpy as np

    outputs = model.predict(data.x_eval, verbose=0, batch_size=256)
    if outputs.shape[1] > 1:
        answers = outputs.argmax(axis=1)
    else:
        is_probability = outputs.min() >= 0 and outputs.max() <= 1
        answers = outputs[:, 0] > (0.5 if is_probability else 0.0)
    return float(np.mean(answers == data.y_eval))


def _recipes():
    from recipes.failing import FAILING
    from recipes.healthy import HEALTHY

    return {recipe.name: recipe for recipe in (*FAILING, *HEALTHY)}


def summarize(results: list[dict[str, Any]]) -> str:
    """Returns the table and the failures by name."""
    recipes = _recipes()
    reference = collections.defaultdict(list)
    for result in results:
        if not result["failing"] and result.get("accuracy") is not None:
            reference[result["recipe"]].append(result["accuracy"])
    lines, problems = [], []
    lines.append(f"{'half':<12} {'what':<14} {'count':>9} {'share':>7}  95 % interval")
    for half in ("development", "held back", "all"):
        rows = [r for r in results if half in ("all", r["half"])]
        for what, hits, total in _counts(rows, recipes, reference, problems, half):
            low, high = _interval(hits, total)
            share = hits / total if total else math.nan
            lines.append(
                f"{half:<12} {what:<14} {hits:>4}/{total:<4} {share:>7.1%}  "
                f"{low:.1%} to {high:.1%}   aim {_AIMS[what]:.0%}"
            )
    seconds = sum(r["seconds"] for r in results)
    lines.append(f"{len(results)} trainings, {seconds / 60:.1f} minutes")
    return "\n".join([*lines, *problems])


def _counts(rows, recipes, reference, problems, half):
    tell = problems.append if half == "all" else lambda line: None
    detected = right = mended = repairable = harmless = 0
    failing = [r for r in rows if r["failing"]]
    for r in failing:
        recipe, label = recipes[r["recipe"]], f"{r['recipe']}#{r['seed']}"
        named = [r["causes"][0]] if r.get("causes") else _answered(r)
        if not r["blocked"] and not named and _share(r, recipe, reference) >= _HARMLESS:
            harmless += 1
            tell(f"harmless   {label}: accuracy {r['accuracy']:.1%}")
            continue
        good = not r["blocked"] and _is_as_good(r, recipe, reference)
        is_detected = r["blocked"] or bool(named)
        is_right = "refused" in r or bool(set(named) & set(recipe.causes))
        detected += is_detected
        right += is_right
        if not is_detected:
            tell(f"missed     {label}: accuracy {r['accuracy']:.1%} {_short(r)}")
        elif not is_right:
            tell(f"wrong name {label}: {named} for {recipe.causes} {_short(r)}")
        if recipe.repairable:
            repairable += 1
            mended += good
            if not good:
                tell(f"not mended {label}: accuracy {r['accuracy']} {_short(r)}")
    healthy = [r for r in rows if not r["failing"]]
    for r in [r for r in healthy if _came_to_nothing(r)]:
        healthy.remove(r)
        tell(f"unhealthy  {r['recipe']}#{r['seed']}: accuracy {r['accuracy']:.1%}")
    alarms = [r for r in healthy if r["blocked"]]
    for r in alarms:
        tell(f"false alarm {r['recipe']}#{r['seed']}: {_short(r)}")
    count = len(failing) - harmless
    yield "detected", detected, count
    yield "right cause", right, count
    yield "mended", mended, repairable
    yield "false alarms", len(alarms), len(healthy)


def _answered(result) -> list[str]:
    """Returns the causes that were answered with a remedy."""
    causes = [cause for _, cause in result.get("remedies", ())]
    return causes + (["mode_gap"] if result.get("recalibrated") else [])


def _came_to_nothing(result) -> bool:
    """Returns whether a recipe meant to be healthy has learnt nothing in fact."""
    prior, accuracy = result["prior"], result["accuracy"]
    return accuracy is not None and accuracy < prior + _NOTHING * (1 - prior)


def _goal(recipe, reference) -> float:
    accuracies = reference.get(recipe.like or "")
    return sum(accuracies) / len(accuracies) if accuracies else 1.0


def _share(result, recipe, reference) -> float:
    """Returns the gain over guessing, as a share of the healthy recipe's."""
    if result["accuracy"] is None:
        return 0.0
    prior, goal = result["prior"], _goal(recipe, reference)
    return (result["accuracy"] - prior) / max(goal - prior, 1e-9)


def _is_as_good(result, recipe, reference) -> bool:
    """Returns whether a training has come to what a healthy one comes to."""
    if _share(result, recipe, reference) >= 0.9:
        return True
    goal = _goal(recipe, reference)
    # Two standard errors, as a difference of two shares of so many rows has them.
    noise = math.sqrt(2 * goal * (1 - goal) / result["rows"])
    return result["accuracy"] is not None and result["accuracy"] >= goal - 2 * noise


def _interval(hits: int, total: int) -> tuple[float, float]:
    from scipy import stats

    if not total:
        return 0.0, 1.0
    interval = stats.binomtest(hits, total).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def _short(result) -> str:
    keys = ("causes", "messages", "others", "remedies", "recalibrated", "stopped")
    told = {key: result[key] for key in keys if result.get(key)}
    return json.dumps(told)[:600]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="parts of names, with commas")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--resume", action="store_true", help="keep what --output has")
    arguments = parser.parse_args()

    results: list[dict[str, Any]] = []
    if arguments.resume and arguments.output and arguments.output.exists():
        results = json.loads(arguments.output.read_text())
    done = {(r["recipe"], r["seed"]) for r in results}
    tasks = [
        (name, seed)
        for name in _recipes()
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        if any(part in name for part in arguments.only.split(","))
        and (name, seed) not in done
    ]
    with concurrent.futures.ProcessPoolExecutor(
        arguments.jobs,
        mp_context=multiprocessing.get_context("spawn"),
    ) as pool:
        pending = [pool.submit(run, *task) for task in tasks]
        for task, future in zip(tasks, pending, strict=True):
            try:
                results.append(future.result())
            except Exception as error:
                print(f"crashed    {task}: {type(error).__name__}: {error}")
                continue
            r = results[-1]
            print(
                f"{r['recipe']}#{r['seed']} {r['seconds']:.1f} s "
                f"accuracy {r['accuracy']} {_short(r)[:300]}",
                flush=True,
            )
            if arguments.output:
                arguments.output.write_text(json.dumps(results, indent=1))
    print(summarize(results))


if __name__ == "__main__":
    main()
