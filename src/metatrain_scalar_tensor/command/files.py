"""Reads and writes the files of structures of the commands."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Union

import ase
import ase.io
from ase.io import extxyz


def check_folder(output: Union[str, Path]) -> None:
    """Refuse an output that can't be written, before anything is computed for it.

    :param output: the file to write.
    :raises ValueError: if its folder does not exist.
    """
    folder = Path(output).parent
    if not folder.is_dir():
        raise ValueError(f"'{output}' can't be written: there is no '{folder}'")


def read_frames(path: Path) -> List[ase.Atoms]:
    """All structures of a file that ASE reads.

    :raises OSError: if there is no such file.
    :raises ValueError: if ASE can't read it, or it has no structure.
    """
    try:
        frames: Any = ase.io.read(path, ":")
    except OSError:
        raise
    except Exception as error:  # of ASE's readers, of any kind
        reason = str(error) or type(error).__name__
        raise ValueError(f"'{path}' can't be read: {reason}") from error
    if not frames:
        raise ValueError(f"'{path}' has no structures")
    return frames


def write_frames(path: Path, frames: List[ase.Atoms]) -> None:
    """Write an extxyz file in which numbers have all their digits.

    :param path: the file.
    :param frames: its structures.
    """
    with _all_digits():
        ase.io.write(path, frames, format="extxyz")


@contextmanager
def _all_digits() -> Iterator[None]:
    """ASE's writer has eight decimals for the values of atoms, and no setting for it.

    Its function that chooses the formats is replaced meanwhile.
    """
    original = extxyz.output_column_format

    def with_all_digits(*arguments: Any) -> Any:
        comment, columns, dtype, row = original(*arguments)
        return comment, columns, dtype, row.replace("%16.8f", "%24s")

    extxyz.output_column_format = with_all_digits
    try:
        yield
    finally:
        extxyz.output_column_format = original
