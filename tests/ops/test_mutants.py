"""The planted faults still fit the code that they are planted into."""

from __future__ import annotations

import pytest

from ops.mutants.faults import ROOT, Fault, faults

FAULTS = faults()


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(FAULTS) >= 60
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_can_be_planted_and_its_tests_are_there(fault: Fault) -> None:
    text = (ROOT / fault.file).read_text("utf-8")
    assert text.count(fault.old) == 1, f"fit ops/mutants/faults.toml to {fault.file}"
    assert fault.planted(text) != text
    assert fault.tests
    assert [test for test in fault.tests if not (ROOT / test).is_file()] == []
