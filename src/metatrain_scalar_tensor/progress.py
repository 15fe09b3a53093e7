"""Progress bars, where there is a terminal to show them."""

from typing import Iterable, TypeVar

from tqdm import tqdm


Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, quiet: bool = False) -> Iterable[Item]:
    """Show on standard error how far a loop has come.

    :param items: what the loop goes through.
    :param what: name of the bar.
    :param quiet: whether to show nothing. Nothing is shown either if standard error is
        not a terminal.
    """
    return tqdm(items, desc=what, leave=False, disable=True if quiet else None)
