# SPDX-License-Identifier: Apache-2.0
"""Losses for classes that are uneven."""
