"""Where metatrain looks for the reader of data: see ``interface/reading.py``."""

from metatrain_scalar_tensor.interface.reading import (  # noqa: F401
    read_energy,
    read_generic,
    read_systems,
)
