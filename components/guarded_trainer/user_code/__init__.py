# SPDX-License-Identifier: Apache-2.0
"""The user's own functions: found, loaded, called, and blamed where they fail."""
