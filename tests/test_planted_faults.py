"""The list of faults stays a list of faults that can be planted."""

import ast
from pathlib import Path

import pytest
from planted_faults import FAULTS, Fault

PACKAGE = Path(__file__).parent.parent / "tinybert_hf"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    text = (PACKAGE / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    ast.parse(text.replace(fault.old, fault.new))


def test_there_are_enough_faults_and_each_is_another() -> None:
    assert len(FAULTS) >= 30
    assert len({fault.what for fault in FAULTS}) == len({(f.file, f.old, f.new) for f in FAULTS}) == len(FAULTS)
