# SPDX-License-Identifier: Apache-2.0
"""Ready-made problems: each has data, a model and a configuration."""
