# SPDX-License-Identifier: Apache-2.0
"""Judges the features by their statistics, before anything is trained."""
