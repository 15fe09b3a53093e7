"""What the readers of text files share: the last geometry, the end, charge and spin."""

import re
from typing import Dict


def last_part(text: str, heading: str) -> str:
    """The text from a table of positions on, which is about these positions.

    :param text: the content of an output file.
    :param heading: regular expression of what stands above the positions.
    :return: the text from the last heading on.
    :raises ValueError: if there is none.
    """
    places = [match.start() for match in re.finditer(heading, text)]
    if not places:
        raise ValueError("it has no structure")
    return text[places[-1] :]


def check_finished(text: str, end: str, *failures: str) -> None:
    """Refuse a calculation that did not come to its end, or did not converge.

    :param text: what is about the last structure.
    :param end: what the program writes at the end.
    :param failures: what it writes where self-consistency is not reached.
    :raises ValueError: naming what was found or is missing.
    """
    for failure in failures:
        if failure in text:
            raise ValueError(f"the calculation failed: '{failure}'")
    if end not in text:
        raise ValueError(f"the calculation did not finish: there is no '{end}'")


def charge_and_spin(text: str, **patterns: str) -> Dict[str, float]:
    """What ``atoms.info`` should have about the electrons.

    :param text: the content of an output file.
    :param patterns: regular expressions with one group, of ``charge`` and
        ``spin_multiplicity``.
    :return: the last of each, if the text has any.
    """
    found = {key: re.findall(pattern, text) for key, pattern in patterns.items()}
    return {key: float(values[-1]) for key, values in found.items() if values}
