"""``python -m metatrain_scalar_tensor.report RUN`` is ``scalar-tensor report RUN``."""

import sys

from ..command import main


if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
