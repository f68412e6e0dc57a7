# SPDX-License-Identifier: Apache-2.0
"""The exceptions of this project.

A verdict is not an error: a model that is blocked is a result. Errors are for
what could not be judged because what was given is wrong.
"""


class GuardError(Exception):
    """Base class of everything this project raises on purpose."""


class InputError(GuardError):
    """What the user gave cannot be used: arguments, configuration, data or code.

    The message is one line with four parts: what is wrong (naming file and
    field), what was expected, what came, and the way out. The command line
    prints it as it is, without a traceback, and exits with code 2.
    """
