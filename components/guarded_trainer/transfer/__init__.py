# SPDX-License-Identifier: Apache-2.0
"""Transfer learning from a pretrained base."""
