"""Texts to translate, of which some may be missing."""

from tinybert_hf.data.raw_rows import RawRows, check_texts


def texts_or_blank(rows: RawRows, column: str) -> list[str]:
    """The texts of a column, a missing one as a blank: whoever translates skips those, and counts them.

    Raises:
        DataError: a value that is no text.
    """
    filled = [" " if value in (None, "") else value for value in rows.columns[column]]
    return check_texts(RawRows(rows.source, {column: filled}, rows.lines), column)
