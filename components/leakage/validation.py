# SPDX-License-Identifier: Apache-2.0
"""Runs the passes and the judgements in their order; what fails blocks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from absl import logging

from components.errors import InputError
from components.findings import Finding, failed_check
from components.leakage import core, evidence, leaks, quarantine
from components.leakage.config import LeakageConfig
from components.leakage.near_matches import NearDuplicates
from components.leakage.preconditions import require_usable
from components.leakage.predictive.judge import judge as judge_predictive_power
from components.leakage.predictive.variance import judge_variance
from components.leakage.search import Counted, Search
from components.leakage.summary import Summary

_T = TypeVar("_T")


def validate(
    search: Search,
    label_key: str,
    config: LeakageConfig,
    folder: str,
    clean: Mapping[str, str] | None = None,
    *,
    in_order: bool = True,
) -> list[Finding]:
    """Looks for every kind of leakage.

    Args:
      search: The passes.
      label_key: Name of the label feature.
      config: What to look for.
      folder: Where to write the pictures of the evidence.
      clean: Where to write each split without what leaks; None, nothing is written.
      in_order: Whether the rows stand in the order that the model learns them in;
        if not, their order is not judged.

    Returns:
      The findings. A pass that raises becomes a finding that blocks.

    Raises:
      InputError: See `core.judge`.
    """
    findings: list[Finding] = []
    counted = _attempt("reading the examples", search.count, findings)
    if counted is None:
        return findings
    require_usable(counted.summary, label_key, config)
    near = None
    if config.near_duplicates and _has_two_sides(counted.summary, config):
        near = _attempt(
            "near-duplicate leakage",
            lambda: search.find_near_duplicates(counted),
            findings,
        )
    summary = counted.summary.model_copy(update={"near": near.tally if near else None})
    findings += core.judge(summary, label_key, config)
    findings += _judge_reference(counted, config, in_order=in_order)
    if clean is not None:
        settled = _attempt(
            "quarantine",
            lambda: _settle(search, summary, near, findings, config, clean),
            findings,
        )
        findings = findings if settled is None else settled
    shown = _attempt("evidence", lambda: _show(search, findings, folder), findings)
    return findings if shown is None else shown


def _attempt(name: str, step: Callable[[], _T], findings: list[Finding]) -> _T | None:
    """Runs a step; if it raises, adds a finding that blocks and returns None."""
    try:
        return step()
    except InputError:
        raise
    except Exception as error:
        logging.exception("%s failed", name)
        findings.append(failed_check(f"{core.CHECK}, {name}", error))
        return None


def _has_two_sides(summary: Summary, config: LeakageConfig) -> bool:
    """Whether there is a reference, and something to hold against it."""
    reference = summary.contents.splits[config.reference_split].examples
    return 0 < reference < summary.contents.num_examples


def _judge_reference(
    counted: Counted, config: LeakageConfig, *, in_order: bool
) -> Iterator[Finding]:
    """Judges the reference split by itself: single features, and its pictures."""
    yield from core.guarded(
        "label leakage",
        lambda: judge_predictive_power(counted.sample, config, in_order=in_order),
    )
    yield from core.guarded(
        "variance of pictures",
        lambda: judge_variance(counted.pictures, config.reference_split),
    )


def _settle(
    search: Search,
    summary: Summary,
    near: NearDuplicates | None,
    findings: Sequence[Finding],
    config: LeakageConfig,
    clean: Mapping[str, str],
) -> list[Finding]:
    """Writes the examples without those that leak."""
    splits, reference = search.splits, config.reference_split
    found = {
        "duplicate_leakage": leaks.sharing(search.contents, splits, reference),
        "group_leakage": leaks.sharing(search.groups, splits, reference),
        "temporal_leakage": leaks.older(search.times, splits, reference),
    }
    if near is not None:
        found["near_duplicate_leakage"] = near.digests
    counts = search.write_kept(found, clean)
    return list(quarantine.settle(findings, summary, counts, config))


def _show(search: Search, findings: Sequence[Finding], folder: str) -> list[Finding]:
    """Puts rows and pictures into the evidence; no pass if none are named."""
    digests = evidence.named_records(findings)
    shown = search.describe(digests, folder) if digests else {}
    return list(evidence.show(findings, shown))
