"""The one exception for bad input: front doors print its sentence, anything else is a bug."""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what is wrong and what to do."""


class AllLostError(RuntimeError):
    """All networks of a run diverged or died; front doors print the sentence and exit with 3."""


def in_one_line(error: Exception) -> str:
    """The type and message of an exception of the user's own code, for a sentence about it."""
    return " ".join(f"{type(error).__name__}: {error}".split())
