"""The error that bad data, or a bad description of data, raises."""

from randlabels.errors import InputError


class DataError(InputError):
    """One sentence: what is wrong with the data and what to do about it."""
