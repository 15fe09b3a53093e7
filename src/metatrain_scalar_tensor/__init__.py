"""Scalar × tensor models for metatrain.

The architecture ``experimental.scalar_tensor``: ``documentation.py`` describes the
hyperparameters of the model, ``training/documentation.py`` those of the training, and
``model.py`` is the model.
"""

from .interface.architecture import ScalarTensor
from .interface.reading import use_this_reader
from .trainer import Trainer


use_this_reader()

__version__ = "0.2.0"
__model__ = ScalarTensor
__trainer__ = Trainer

__authors__ = [("The metatrain-scalar-tensor developers", "@metatrain-scalar-tensor")]
__maintainers__ = __authors__
