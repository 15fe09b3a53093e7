# mypy: disable-error-code=misc
# TypedDict fields with default values, as everywhere in metatrain.
"""The options of the training, as ``..documentation`` has those of the model."""

from typing import Annotated, Literal, Optional

from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler.documentation import FixedScalerWeights
from metatrain.utils.hypers import init_with_defaults
from metatrain.utils.loss import LossSpecification
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from typing_extensions import NotRequired, TypedDict


class FinetuneHypers(TypedDict):
    """Start from a trained model instead of random weights."""

    read_from: str
    """Path of the checkpoint (``.ckpt``) to start from."""
    method: NotRequired[Literal["full", "heads"]]
    """``full``, the default, trains all weights. ``heads`` keeps the features fixed and
    trains only the heads and tensors that no other target uses: predictions for the
    model's other targets are unchanged."""


class TraceHypers(TypedDict):
    """An additional loss, which trains the features to predict ``tr(Q Q†)`` of each
    block ``Q`` of a target (TraceGrad, `arXiv:2405.05722
    <https://arxiv.org/abs/2405.05722>`_). The labels are computed from the targets,
    which must be of atoms or of pairs.
    """

    weight: NonNegativeFloat = 0.0
    """Weight relative to the loss of the targets; 0 turns it off."""
    schedule: Literal["linear", "constant"] = "linear"
    """``linear`` lets the weight decay to zero in the course of the training."""
    targets: Optional[list[str]] = None
    """The targets to use; by default all targets of atoms and of pairs."""


class TrainerHypers(TypedDict):
    """Hyperparameters of the training."""

    distributed: NotRequired[bool]
    """Whether to train on several processes. By default, this is the case if the run
    has more than one SLURM task. Setting it explicitly is deprecated in metatrain."""
    distributed_port: int = 39591
    """Port for the communication between processes."""
    batch_size: PositiveInt = 8
    """Number of structures in a batch."""
    max_atoms_per_batch: Optional[PositiveInt] = None
    """If set, batches are packed up to this number of atoms instead of to
    ``batch_size`` structures."""
    min_atoms_per_batch: NonNegativeInt = 0
    """With ``max_atoms_per_batch``, batches with fewer atoms are left out."""
    num_epochs: NonNegativeInt = 100
    """Number of times the training set is passed through."""
    solve_heads: bool = True
    """Replace the last weights of all targets, in which the predictions are linear, by
    the solution of a ridge regression on the training set: with the random features
    before the first epoch, and with the features of the best epoch after the last one.
    The better of both is exported. With ``num_epochs: 0`` this is a complete fit, which
    takes seconds. Weights that do not lower the validation error are not accepted."""
    max_equations: PositiveInt = 3000
    """Largest number of equations or of weights, whichever is smaller, for which a
    ridge regression is solved exactly. Of more, that many equations are chosen at
    random, and from their solution conjugate gradients go on with all of them. The time
    grows with the third power: 3000 take about 10 s, 6000 about 80 s."""
    solve_memory: PositiveFloat = 2.0
    """Memory, in GiB, for the equations that are solved at a time; the solution needs
    two to four times as much. Where equations outnumber weights they are added up,
    which takes the same memory for any number of structures. If those of all targets
    and irreps are more, the data are passed through several times. If those of one
    irrep are, for one pair of types, or the equations of the validation set, some
    structures, atoms or pairs are chosen at random."""
    num_ensemble_members: Annotated[int, Field(ge=0, le=1024)] = 0
    """Number of members of the ensembles that give uncertainties, for all targets: the
    last weights of every member are drawn from the posterior distribution of the same
    ridge regression, for the exported features, and calibrated on the validation set.
    0 for none; 32 know the standard deviation to 13 %."""
    optimizer: Literal["Adam", "Muon"] = "Adam"
    """``Muon`` orthogonalises the steps of the matrices of linear layers, so that they
    are as large in directions in which gradients are small (`K. Jordan et al.
    <https://kellerjordan.github.io/posts/muon>`_), and uses Adam for all other weights.
    For message passing it needs a fraction of the steps, with the learning rate of
    ``options/forces.yaml``.
    """
    learning_rate: PositiveFloat = 1e-3
    """Largest learning rate."""
    warmup_fraction: NonNegativeFloat = 0.01
    """Fraction of all steps over which the learning rate rises linearly from zero.
    Afterwards it decays to zero along half a cosine."""
    grad_clip_norm: Optional[PositiveFloat] = 1.0
    """Gradients with a larger norm are scaled down to it; ``null`` for no limit."""
    ema_decay: Optional[PositiveFloat] = None
    """If set (for example to 0.999), the exponential moving average of the weights with
    this decay per step is validated and exported, instead of the weights themselves."""
    log_interval: PositiveInt = 5
    """Number of epochs between two lines in the log."""
    checkpoint_interval: PositiveInt = 25
    """Number of epochs between two checkpoints."""
    log_mae: bool = False
    """Log mean absolute errors in addition to root mean squared errors."""
    log_separate_blocks: bool = False
    """Log one error per block (for example for each λ) instead of one per target."""
    best_model_metric: Literal["rmse_prod", "mae_prod", "loss"] = "rmse_prod"
    """Metric that selects the epoch to export: the product over the targets of the
    validation RMSE or MAE, or the loss. The MAE needs ``log_mae: true``."""
    loss: str | dict[str, LossSpecification | str] = "mse"
    """Loss function and its weight, for all targets or for each: see metatrain's `loss
    functions <https://docs.metatensor.org/metatrain/latest/>`_. Unknown values are NaN
    here, and not masked."""
    trace_supervision: TraceHypers = init_with_defaults(TraceHypers)
    """Supervision of the invariant features by invariants of the targets."""
    per_structure_targets: list[str] = []
    """Per-system targets whose loss and errors are *not* divided by the number of
    atoms."""
    atomic_baseline: FixedCompositionWeights | str = {}
    """The part of each target that depends on the composition alone. By default it is
    fitted to the training set and subtracted from the targets. A number, a number for
    each atom type, or the path of a trained composition model fixes it instead. For
    Cartesian targets of even rank it is isotropic: the numbers multiply ``δ_ij``, or
    for rank 4 each of ``δ_ij δ_kl``, ``δ_ik δ_jl`` and ``δ_il δ_jk``; this part is
    fitted even if a path is given."""
    scale_targets: bool = True
    """Divide the targets by their standard deviation while training."""
    fixed_scaling_weights: FixedScalerWeights | str = {}
    """Fixed scales to use instead, or the path of a trained scaler."""
    cache_memory: NonNegativeFloat = 2.0
    """Memory, in GiB, for quantities that do not change while training: neighbor lists,
    prepared targets, the functions of all edges with their derivatives and, if no
    target has forces or stress, neighbor densities. Data sets that do not fit are
    prepared again in every epoch; 0 turns the cache off."""
    num_workers: Optional[NonNegativeInt] = None
    """Number of processes that prepare data. The default depends on the number of
    cores."""
    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model, to which new targets are added."""
