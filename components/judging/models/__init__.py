# SPDX-License-Identifier: Apache-2.0
"""Models of any kind, asked in each of their modes."""
