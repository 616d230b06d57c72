"""The one exception that means 'the input is wrong and here is how to put it right'."""


class UsageError(ValueError):
    """A user's input cannot be used; the message names the offending value and the remedy.

    The command line prints it as one sentence and leaves with exit status 2.
    """
