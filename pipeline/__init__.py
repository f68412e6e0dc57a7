# SPDX-License-Identifier: Apache-2.0
"""The guarded pipeline: its configuration, its runners and its command line."""
