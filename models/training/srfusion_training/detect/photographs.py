"""Photographs of the data folder that hold text, so that no detector of text is taught that it is background."""

#: Names of files of train/general and train/general2.
WITH_TEXT: frozenset[str] = frozenset()
