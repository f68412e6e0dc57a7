# SPDX-License-Identifier: Apache-2.0
"""Fetches the newest blessed model from production, as the baseline to beat."""
