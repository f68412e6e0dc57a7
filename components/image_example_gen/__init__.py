# SPDX-License-Identifier: Apache-2.0
"""Turns a folder of pictures into examples."""
