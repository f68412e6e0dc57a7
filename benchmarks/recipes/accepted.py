# SPDX-License-Identifier: Apache-2.0
"""The causes that may be named first, by kind of failure.

They were written down before the first model was judged. Where the fault leaves its
trace in the data or the two modes, only that counts; where a model without a training
record merely shows that it has not learnt, any word for that does.
"""

UNTRAINED = ("underfit", "no_signal", "constant_output", "collapse")
"""What can be said of a model that has learnt nothing, from its answers alone."""
DIVERGED = (*UNTRAINED, "not_a_number", "learning_rate_too_high", "dead_relu")
LOGITS = ("loss_mismatch", "not_probabilities")
UNSCALED = ("unscaled_input",)
UNEVEN = ("class_imbalance",)
GAP = ("mode_gap",)
OVERFIT = ("overfit",)
