# SPDX-License-Identifier: Apache-2.0
"""The checks: from statistics to findings, without TFX and without files."""
