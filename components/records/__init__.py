# SPDX-License-Identifier: Apache-2.0
"""The records that components hand to one another as JSON files."""
