# SPDX-License-Identifier: Apache-2.0
"""Data of any kind as splits of rows, and the data guards over them."""
