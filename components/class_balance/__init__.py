# SPDX-License-Identifier: Apache-2.0
"""Judges how the classes are distributed, before anything is trained."""
