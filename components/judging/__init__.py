# SPDX-License-Identifier: Apache-2.0
"""Judges a model that was trained elsewhere, without TFX."""
