# SPDX-License-Identifier: Apache-2.0
"""Chooses and sets up devices, precision and distribution."""
