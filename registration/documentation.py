"""Where metatrain looks for the hyperparameters of ``experimental.scalar_tensor``."""

from metatrain_scalar_tensor.documentation import ModelHypers, __doc__  # noqa: F401
from metatrain_scalar_tensor.training.documentation import TrainerHypers  # noqa: F401
