"""Commands that a README tells to type."""

import re
import shlex


def commands(readme, program):
    """Arguments of the lines in blocks of bash that start with ``program``."""
    blocks = re.findall(r"```bash\n(.*?)```", readme.read_text(), re.DOTALL)
    lines = [
        shlex.split(line, comments=True) for b in blocks for line in b.splitlines()
    ]
    return [line for line in lines if line and line[0] == program]
