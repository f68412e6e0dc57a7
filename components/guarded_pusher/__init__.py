# SPDX-License-Identifier: Apache-2.0
"""Pushes the very model that was blessed, and no other."""
