"""Who has the daily history of an instrument: one file a source, and the order they are asked in.

Here belongs everything between an instrument and its bars in canonical units. When histories are
asked for and how they are stored belongs to `assets`.
"""
