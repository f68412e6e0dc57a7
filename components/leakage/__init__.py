# SPDX-License-Identifier: Apache-2.0
"""Finds examples that stand in the training and in another split."""
