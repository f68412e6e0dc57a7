# SPDX-License-Identifier: Apache-2.0
"""GuardedEvaluator: blocks models that look good in training and fail in use."""
