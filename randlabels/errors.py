"""The one exception for bad input: front doors print its sentence, anything else is a bug."""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what is wrong and what to do."""
