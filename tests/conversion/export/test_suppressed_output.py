"""What a library prints is held back while it works, and nothing of it afterwards."""

import logging
import os
import sys
import warnings

import pytest

from tinybert_hf.checkpoints.exported import suppressed_output


def test_nothing_reaches_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with suppressed_output() as end:
        print("one\n\n  two")
        print("three", file=sys.stderr)
        os.write(1, b"four\n")
        os.write(2, b"five \xff\n")
        warnings.warn("six", stacklevel=1)  # an error in these tests
        assert set(end().split(" / ")) == {"one", "two", "three", "four", "five �"}
    print("after")
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("before\nafter\n", "after\n")


def test_the_end_is_short() -> None:
    with suppressed_output() as end:
        print("\n".join(f"line {number}" for number in range(99)))
        assert end() == "line 94 / line 95 / line 96 / line 97 / line 98"


def test_an_error_passes_and_the_screen_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), suppressed_output():
        raise KeyError("x")
    os.write(1, b"after\n")
    print("and after", file=sys.stderr)
    assert capfd.readouterr() == ("after\n", "and after\n")


def test_a_logger_that_was_set_up_meanwhile_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with suppressed_output():
        handler = logging.StreamHandler()
    handler.emit(logging.makeLogRecord({"msg": "said later"}))
    assert capsys.readouterr().err == "said later\n"
