# SPDX-License-Identifier: Apache-2.0
"""Looks for what alone tells the label, and for pictures that hardly differ."""
