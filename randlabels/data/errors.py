"""The one error that bad data, or a bad description of data, raises."""


class DataError(ValueError):
    """One sentence: what is wrong with the data and what to do about it."""
