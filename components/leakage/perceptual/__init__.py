# SPDX-License-Identifier: Apache-2.0
"""Tells whether two pictures are near-duplicates: candidates, then verification."""
