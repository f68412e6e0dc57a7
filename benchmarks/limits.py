# SPDX-License-Identifier: Apache-2.0
"""Sweeps the limits of the gate over what `judged_models.py` measured.

    .venv/bin/python benchmarks/limits.py --results runs/judged.json.gz

Each limit is varied alone around its default, and every model is decided anew from
what was measured; nothing is trained or asked. Half of the recipes, by a hash of their
names, choose the limits, the other half confirms them.

For each value are counted: failing models that are blocked at all; failing models whose
recipe names one of the causes that this limit governs, and which one of these causes
blocks, since other checks would hide that these went blind; and sound models that are
blocked. The plateau of a limit is the range of values about the default, among those
tried, over which at most one failing model less is found and no sound one more blocked.
"""

import argparse
import dataclasses
import gzip
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np
from judged_models import counts, interval, outcome, summary

from components.findings import Finding
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence, decide
from components.records.evaluation import EvaluationRecord
from components.records.training import BatchNormDrift


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A limit, the values to try, and the causes that it governs."""

    limit: str
    values: tuple[float, ...]
    causes: tuple[str, ...]


SWEEPS = (
    Sweep(
        "confidence",
        (0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999),
        (
            "mode_gap",
            "overfit",
            "collapse",
            "dead_class",
            "no_signal",
            "constant_output",
            "weak_slice",
        ),
    ),
    Sweep(
        "max_mode_gap",
        (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
        ("mode_gap",),
    ),
    Sweep(
        "certain_mode_distance",
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        ("mode_gap",),
    ),
    Sweep(
        "max_batch_distance",
        (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2),
        ("batch_dependence",),
    ),
    Sweep(
        "max_generalization_gap",
        (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3),
        ("overfit",),
    ),
    Sweep(
        "min_leaving_share",
        (0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
        ("collapse",),
    ),
    Sweep(
        "min_class_recall",
        (0.0, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
        ("dead_class", "class_imbalance", "missing_class"),
    ),
    Sweep(
        "min_output_spread",
        (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2),
        ("constant_output",),
    ),
    Sweep(
        "min_eval_examples",
        (1, 5, 10, 20, 30, 40, 50, 70, 100),
        ("insufficient_evidence",),
    ),
    Sweep(
        "max_slice_gap",
        (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
        ("weak_slice",),
    ),
    Sweep(
        "min_imbalance_ratio",
        (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0),
        ("class_imbalance",),
    ),
    Sweep(
        "max_destroyed_share",
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        ("fragile_preprocessing",),
    ),
)


def evidence_of(case: Mapping[str, Any]) -> Evidence | None:
    """Returns all that a verdict rested on; None for a model that was refused."""
    if "evidence" not in case:
        return None
    told = case["evidence"]
    return Evidence(
        config=EvaluationConfig(**told["config"]),
        evaluation=EvaluationRecord.model_validate(told["evaluation"]),
        upstream=tuple(Finding.model_validate(f) for f in told["upstream"]),
        batch_norm=tuple(BatchNormDrift.model_validate(d) for d in told["batch_norm"]),
    )


def decided(
    case: Mapping[str, Any], evidence: Evidence | None, **limits: Any
) -> dict[str, Any]:
    """Returns a case with the verdict that other limits would have given."""
    if evidence is None:
        return dict(case)
    config = EvaluationConfig(**{**case["evidence"]["config"], **limits})
    verdict = decide(dataclasses.replace(evidence, config=config), CHECKS)
    return {**case, "verdict": outcome(verdict)}


def found(cases: Sequence[Mapping[str, Any]], causes: Sequence[str]) -> tuple[int, int]:
    """Counts the failing models of these causes that are blocked by one of them."""
    named = [
        case["verdict"]["blocking"]
        for case in cases
        if not case["left_out"]
        and "verdict" in case
        and set(case["causes"]) & set(causes)
    ]
    return sum(bool(set(blocking) & set(causes)) for blocking in named), len(named)


def swept(cases: Sequence[Mapping[str, Any]], sweep: Sweep) -> list[dict[str, Any]]:
    """Returns the counts for each value of a limit, for either half."""
    evidence = [evidence_of(case) for case in cases]
    rows = []
    for value in sweep.values:
        anew = [
            decided(case, known, **{sweep.limit: value})
            for case, known in zip(cases, evidence, strict=True)
        ]
        for half in ("choosing", "confirming"):
            chosen = [case for case in anew if case["half"] == half]
            rows.append(
                {
                    "value": value,
                    "half": half,
                    **counts(chosen),
                    "found": found(chosen, sweep.causes),
                }
            )
    return rows


def plateau(rows: Sequence[Mapping[str, Any]], default: float) -> tuple[float, float]:
    """Returns the values about the default over which hardly anything gets worse.

    Args:
      rows: What `swept` returns, the default among the values.
      default: The value from which to go up and down.
    """
    values = sorted({row["value"] for row in rows})
    found, wronged = (
        {value: _sum(rows, value, what) for value in values}
        for what in ("found", "falsely blocked")
    )
    low = high = values.index(default)

    def is_as_good(value: float) -> bool:
        return found[default] - found[value] <= 1 and wronged[value] <= wronged[default]

    while low > 0 and is_as_good(values[low - 1]):
        low -= 1
    while high < len(values) - 1 and is_as_good(values[high + 1]):
        high += 1
    return values[low], values[high]


def _sum(rows: Sequence[Mapping[str, Any]], value: float, what: str) -> int:
    return sum(row[what][0] for row in rows if row["value"] == value)


def table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns all counts, and the plateaus, as Markdown."""
    defaults = EvaluationConfig()
    lines = [
        "| limit | default | plateau | found by its checks: choosing, confirming | "
        "falsely blocked: choosing, confirming |",
        "| --- | --- | --- | --- | --- |",
    ]
    for limit, rows in results.items():
        default = getattr(defaults, limit)
        low, high = plateau(rows, default)
        cells = [
            ", ".join(
                f"{row[what][0]} of {row[what][1]}"
                for row in rows
                if row["value"] == default
            )
            for what in ("found", "falsely blocked")
        ]
        lines.append(
            f"| `{limit}` | {default:g} | {low:g} to {high:g} | "
            f"{cells[0]} | {cells[1]} |"
        )
    return "\n".join(lines)


def draw(
    results: Mapping[str, Sequence[Mapping[str, Any]]], file: pathlib.Path
) -> None:
    """Draws for each limit what it finds and whom it wrongs, with 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 3
    num_rows = -(-len(results) // columns)
    figure, axes = pyplot.subplots(
        num_rows, columns, figsize=(13, 3.1 * num_rows), squeeze=False
    )
    defaults = EvaluationConfig()
    for panel in axes.flat[len(results) :]:
        panel.set_visible(False)
    for panel, (limit, rows) in zip(axes.flat, results.items(), strict=False):
        for what, name, color in (
            ("found", "failing, not found by this limit's checks", "#b2182b"),
            ("falsely blocked", "sound, blocked by anything", "#2166ac"),
        ):
            for half, style in (("choosing", "-"), ("confirming", "--")):
                chosen = [row for row in rows if row["half"] == half]
                places = [_place(limit, row["value"]) for row in chosen]
                _line(panel, places, chosen, what, color, style, f"{name} ({half})")
        default = getattr(defaults, limit)
        panel.axvline(_place(limit, default), color="black", linewidth=0.8)
        ends = [_place(limit, value) for value in plateau(rows, default)]
        panel.axvspan(*ends, color="black", alpha=0.06, linewidth=0)
        places = [_place(limit, row["value"]) for row in rows]
        if min(places) > 0 and max(places) / min(places) >= 50:
            panel.set_xscale("log")
        panel.set_title("1 - confidence" if limit == "confidence" else limit, size=10)
        panel.set_ylim(-2, 102)
        panel.tick_params(labelsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel("per cent", fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=9)
    figure.tight_layout(rect=(0, 0.5 / (3.1 * num_rows), 1, 1))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80, metadata={"Software": None})
    pyplot.close(figure)


def _place(limit: str, value: float) -> float:
    """Returns where a value is drawn; a confidence by what it leaves to chance."""
    return 1 - value if limit == "confidence" else value


def _line(panel, places, rows, what, color, style, label) -> None:
    # What is missed is drawn, so that both lines ought to lie at the bottom.
    pairs = [
        (total - hits if what == "found" else hits, total)
        for hits, total in (row[what] for row in rows)
    ]
    shares = [100 * hits / max(total, 1) for hits, total in pairs]
    panel.plot(places, shares, style, color=color, marker=".", label=label)
    ends = 100 * np.array([interval(*pair) for pair in pairs])
    panel.fill_between(places, *ends.T, color=color, alpha=0.07, linewidth=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="parts of limits, with commas")
    parser.add_argument("--picture", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file for the counts")
    arguments = parser.parse_args()
    cases = json.loads(gzip.decompress(arguments.results.read_bytes()))
    print(summary([decided(case, evidence_of(case)) for case in cases]), flush=True)
    results = {
        sweep.limit: swept(cases, sweep)
        for sweep in SWEEPS
        if any(part in sweep.limit for part in arguments.only.split(","))
    }
    print(table(results))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1))
    if arguments.picture:
        draw(results, arguments.picture)


if __name__ == "__main__":
    main()
