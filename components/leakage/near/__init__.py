# SPDX-License-Identifier: Apache-2.0
"""Finds near-duplicates between splits, with Beam, in linear time."""
