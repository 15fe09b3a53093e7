"""Where metatrain looks for ``experimental.scalar_tensor``: see
``metatrain_scalar_tensor``, where everything is.
"""

from metatrain_scalar_tensor import (  # noqa: F401
    __authors__,
    __maintainers__,
    __model__,
    __trainer__,
)
