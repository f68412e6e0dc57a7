# SPDX-License-Identifier: Apache-2.0
import os

# Before anything imports TensorFlow: test output is for tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
