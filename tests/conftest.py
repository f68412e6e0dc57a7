# SPDX-License-Identifier: Apache-2.0
import logging
import os
import sys

import pytest

# Before anything imports TensorFlow: test output is for tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Gives each test the same start, whichever tests ran before it.

    The same random numbers, before its fixtures are set up, so that what these train
    is the same as well; and warnings in the log, which the command line silences for
    the whole process.
    """
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("components").setLevel(logging.NOTSET)
    logging.getLogger("components").propagate = True
    # Tests of pure modules do not load Keras.
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)
