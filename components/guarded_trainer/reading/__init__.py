# SPDX-License-Identifier: Apache-2.0
"""Reads training data, at the speed of the device."""
