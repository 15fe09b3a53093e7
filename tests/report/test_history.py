"""The losses and errors of a training, from its ``train.csv``."""

import pytest

from metatrain_scalar_tensor.report.data import ReportError
from metatrain_scalar_tensor.report.history import read_history


HEADER = "Epoch,training loss,validation y RMSE\n,,eV\n"


@pytest.mark.parametrize("text", [None, "", HEADER, "Epoch,tra", HEADER + HEADER])
def test_without_epochs_there_is_no_history(tmp_path, text):
    path = tmp_path / "train.csv"
    if text is not None:
        path.write_text(text)
    assert read_history(path) is None


def test_the_later_of_two_equal_epochs_counts_and_half_a_line_does_not(tmp_path):
    path = tmp_path / "train.csv"
    rows = "   0,1e+0,2.0\n   1,5e-1,1.0\n"
    path.write_text(f"{HEADER}{rows}{HEADER}   1,4e-1,0.5\n   2,3e-1,")
    history = read_history(path)
    assert history.columns["Epoch"].tolist() == [0, 1]
    assert history.columns["training loss"].tolist() == [1.0, 0.4]
    assert history.units["validation y RMSE"] == "eV"


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n3,4\n", HEADER + "0,1.0\n", HEADER + "x,1,2\n"]
)
def test_another_table_is_refused(tmp_path, text):
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(ReportError, match="is not a table of epochs"):
        read_history(path)
