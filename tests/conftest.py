"""What the tests of all rooms share."""

import pytest


# assertions of tests/shared say as much as those of the tests
pytest.register_assert_rewrite("equivariance", "helpers")


@pytest.fixture
def in_temporary_folder(tmp_path, monkeypatch):
    """Where a test writes its files, and trains unless it gives another folder."""
    monkeypatch.chdir(tmp_path)
