# SPDX-License-Identifier: Apache-2.0
"""Small, harmless changes of examples, to see what they do to predictions."""
