# SPDX-License-Identifier: Apache-2.0
"""Presets of augmentation for pictures."""
