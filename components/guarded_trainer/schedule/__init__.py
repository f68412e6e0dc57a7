# SPDX-License-Identifier: Apache-2.0
"""The learning rate over time, and the size of a step."""
