# SPDX-License-Identifier: Apache-2.0
"""Digits, trained for so few steps that BatchNorm's statistics have not arrived."""
