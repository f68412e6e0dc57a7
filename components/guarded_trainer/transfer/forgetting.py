# SPDX-License-Identifier: Apache-2.0
"""Whether fine-tuning made a pretrained base forget what it knew.

A base forgets when it is moved far and does worse for it on rows that nothing was
fitted to. Neither alone is enough: a far move may be a good one, and a loss without
a move has another cause.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.records.training import Forgetting


def distances(
    before: Mapping[str, Sequence[np.ndarray]],
    after: Mapping[str, Sequence[np.ndarray]],
) -> tuple[Forgetting, ...]:
    """Measures how far each layer moved, in units of its own norm.

    Args:
      before: The weights of each layer by its path.
      after: The same, later.

    Returns:
      The layers that moved farthest first. The distance is the L2 norm of the change
      divided by the norm before: infinite where a layer of zeros moved, or weights
      are no longer finite.
    """
    moved = []
    for layer, old in before.items():
        change = _norm([b - a for a, b in zip(old, after[layer], strict=True)])
        norm = _norm(old)
        distance = change / norm if norm else (np.inf if change else 0.0)
        if not np.isfinite(distance):
            distance = np.inf
        moved.append(Forgetting(layer=layer, distance=float(distance)))
    return tuple(sorted(moved, key=lambda m: (-m.distance, m.layer)))


def accuracy_fell(before: np.ndarray, after: np.ndarray) -> float:
    """Tests whether fewer rows are right than before; exact, one-sided.

    McNemar's test: of the rows that changed sides, as many should have got worse as
    better, so their number follows a binomial distribution.

    Args:
      before: Whether each row was right, bool, shape (n,).
      after: The same rows later.

    Returns:
      The p-value; 1 where no row changed sides.
    """
    worse = int((before & ~after).sum())
    better = int((~before & after).sum())
    if not worse + better:
        return 1.0
    test = stats.binomtest(worse, worse + better, 0.5, alternative="greater")
    return float(test.pvalue)


def judge(
    moved: Sequence[Forgetting],
    before: np.ndarray,
    after: np.ndarray,
    *,
    max_distance: float,
    significance: float,
    rolled_back: bool,
) -> tuple[Finding, ...]:
    """Makes the finding of a base that forgot.

    Args:
      moved: What `distances` returned.
      before: Whether each held-out row was right with the frozen base, bool.
      after: Whether each was right after fine-tuning.
      max_distance: Farthest that a layer may move.
      significance: Largest p-value at which accuracy counts as fallen.
      rolled_back: Whether the frozen base's weights were restored, which makes a
        warning of what would block.

    Returns:
      Nothing if the base did not move far, or did not do significantly worse.
    """
    far = [layer for layer in moved if layer.distance > max_distance]
    p_value = accuracy_fell(before, after) if before.size else 1.0
    if not far or p_value > significance:
        return ()
    outcome = (
        "the weights of the frozen base were restored"
        if rolled_back
        else "roll-back is switched off, so the base was left so"
    )
    return (
        find(
            "frozen_model",
            f"Fine-tuning moved {len(far)} layers of the base by more than "
            f"{max_distance:g} of their norm ({far[0].layer} by "
            f"{far[0].distance:.3g}), and accuracy on {before.size} held-out rows fell "
            f"from {before.mean():.1%} to {after.mean():.1%} (p = {p_value:.2g}): the "
            f"base forgot; {outcome}.",
            severity=Severity.WARN if rolled_back else Severity.BLOCK,
            subject=Subject(split="train", layer=far[0].layer),
            measured=far[0].distance,
            limit=max_distance,
            unit="share of the norm",
            remedy="Lower `model.transfer.fine_tuning_rate` by a factor of ten, or "
            "`unfreeze` fewer stages.",
            evidence={
                "p_value": p_value,
                "accuracy_before": float(before.mean()),
                "accuracy_after": float(after.mean()),
                "moved": [layer.model_dump(mode="json") for layer in far[:5]],
            },
            found_by="GuardedTrainer",
        ),
    )


def _norm(arrays: Sequence[np.ndarray]) -> float:
    # NaN and infinity are a result here, not a fault.
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays)))
