# SPDX-License-Identifier: Apache-2.0
"""What an example holds: its values, its pictures, and when two are the same."""
