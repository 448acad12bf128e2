"""The one exception for mistakes that the user can mend."""


class UserError(Exception):
    """A mistake in the user's input; the command line prints it and exits with 2.

    The message names the thing at fault, what was found, what is allowed, and what to
    try next.
    """
