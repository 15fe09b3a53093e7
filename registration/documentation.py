"""Where metatrain looks for the hyperparameters of ``experimental.scalar_tensor``."""

from metatrain_scalar_tensor.documentation import (  # noqa: F401
    ModelHypers,
    TrainerHypers,
    __doc__,
)
