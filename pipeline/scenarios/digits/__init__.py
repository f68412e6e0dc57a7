# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits: 1,797 real images of 8x8 pixels, from scikit-learn."""
