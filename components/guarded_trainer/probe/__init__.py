# SPDX-License-Identifier: Apache-2.0
"""Looks at a model on a fixed probe batch, without changing it."""
