# SPDX-License-Identifier: Apache-2.0
"""Pictures in two classes, some of which are in both splits, altered a little."""
