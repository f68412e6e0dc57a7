# SPDX-License-Identifier: Apache-2.0
"""What is looked for in a training, as pure rules over its record."""
