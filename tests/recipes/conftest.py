"""A teacher that translates, for every test of a translation run."""

import pytest


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small Marian model that has learnt to exchange words; tests read it and do not change it."""
    from tiny_translator import save_translator

    return save_translator(tmp_path_factory.mktemp("translator"))
