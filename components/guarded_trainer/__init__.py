# SPDX-License-Identifier: Apache-2.0
"""GuardedTrainer: trains a user's Keras model under safeguards."""
