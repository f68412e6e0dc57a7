# SPDX-License-Identifier: Apache-2.0
"""Turns Parquet files into examples, zeros and empty texts included."""
