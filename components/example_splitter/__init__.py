# SPDX-License-Identifier: Apache-2.0
"""Splits examples into train and eval so that nothing can leak between them."""
