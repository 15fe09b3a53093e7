# mypy: disable-error-code=misc
# TypedDict fields with default values, as everywhere in metatrain.
r"""Scalar × tensor
===============

Every target is a sum of invariant coefficients times equivariant tensors,

.. math::
    y_i^{\lambda\sigma} = \sum_b c_b(\text{invariants of } i) \,
        B_b^{\lambda\sigma}(\text{surroundings of } i),

exactly equivariant under rotations and reflections. The neighbor density is expanded
with featomic, its power spectrum feeds a neural network that gives the coefficients,
and its angular channels give the tensors: Domina, Bigi, Pegolo, Ceriotti,
`arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_.
"""

from typing import Annotated, Literal, Optional

from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler.documentation import FixedScalerWeights
from metatrain.utils.hypers import init_with_defaults
from metatrain.utils.long_range import LongRangeHypers
from metatrain.utils.loss import LossSpecification
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from typing_extensions import NotRequired, TypedDict


Size = Annotated[int, Field(ge=1, le=4096)]  # of layers, and numbers of channels


class SmoothingHypers(TypedDict):
    """How the density goes to zero at the cutoff."""

    type: Literal["ShiftedCosine", "Smoothstep"] = "ShiftedCosine"
    """``ShiftedCosine``, featomic's: ``1/2 (1 + cos(π t))`` with ``t = (r - radius +
    width) / width`` in the last ``width`` before the cutoff: continuous with its first
    derivative, so that forces are continuous. ``Smoothstep``: ``1 - 35 t⁴ + 84 t⁵ - 70
    t⁶ + 20 t⁷``, continuous with three derivatives, so that forces are with two; not
    for ``engine: featomic``."""
    width: PositiveFloat = 0.5
    """Width of the cutoff function, in the length unit of the dataset. Source:
    metatrain's SOAP-BPNN uses the same."""


class CutoffHypers(TypedDict):
    """Which neighbors an atom sees."""

    radius: PositiveFloat = 5.0
    """Cutoff radius, in the length unit of the dataset (Å for most)."""
    smoothing: SmoothingHypers = init_with_defaults(SmoothingHypers)
    """Cutoff function."""


class ScalingHypers(TypedDict):
    """Radial scaling of the density: the nearer the neighbor, the more it counts.

    Willatt, Musil and Ceriotti, `PCCP 20, 29661 (2018)
    <https://doi.org/10.1039/C8CP05921G>`_:
    ``rate / (rate + (r / scale)^exponent)``.
    """

    type: Literal["Willatt2018"] = "Willatt2018"
    """The only form that featomic has."""
    rate: PositiveFloat = 1.0
    """``rate`` of the formula, without unit."""
    scale: PositiveFloat = 2.0
    """Distance of the switch, in the length unit of the dataset."""
    exponent: PositiveFloat = 7.0
    """Steepness of the switch. Source: the defaults of metatrain's GAP."""


class AtomicDensityHypers(TypedDict):
    """The density that every neighbor contributes."""

    type: Literal["Gaussian"] = "Gaussian"
    """A Gaussian on each atom (SOAP: Bartók, Kondor and Csányi, `PRB 87, 184115 (2013)
    <https://doi.org/10.1103/PhysRevB.87.184115>`_)."""
    width: PositiveFloat = 0.3
    """Standard deviation of the Gaussian, in the length unit of the dataset."""
    center_atom_weight: NonNegativeFloat = 1.0
    """Weight of the center atom in its own density."""
    scaling: Optional[ScalingHypers] = init_with_defaults(ScalingHypers)
    """Radial scaling of the contributions; ``null`` for none."""


class RadialBasisHypers(TypedDict):
    """The radial functions ``R_nl``."""

    type: Literal["Gto"] = "Gto"
    """Gaussian-type orbitals, orthonormalised by featomic."""
    max_radial: Annotated[int, Field(ge=0, le=32)] = 7
    """Largest radial index: there are ``max_radial + 1`` functions."""


class ExpansionBasisHypers(TypedDict):
    """The basis in which the density is expanded."""

    type: Literal["TensorProduct"] = "TensorProduct"
    """The same radial functions for every angular channel."""
    max_angular: Annotated[int, Field(ge=0, le=20)] = 6
    """Largest angular channel ``l``, and with it the largest angular order λ of the
    targets."""
    radial: RadialBasisHypers = init_with_defaults(RadialBasisHypers)
    """Radial functions."""


class ExpansionHypers(TypedDict):
    """The neighbor density: the arguments of featomic's ``SphericalExpansion``, under
    their own names (see `its documentation <https://metatensor.github.io/featomic>`_).
    """

    cutoff: CutoffHypers = init_with_defaults(CutoffHypers)
    """Which neighbors count."""
    density: AtomicDensityHypers = init_with_defaults(AtomicDensityHypers)
    """What each of them contributes."""
    basis: ExpansionBasisHypers = init_with_defaults(ExpansionBasisHypers)
    """In which functions that is expanded."""


class SpeciesHypers(TypedDict):
    """How types of atoms are told apart."""

    type: Literal["orthogonal", "tensor_reduced"] = "orthogonal"
    """``orthogonal``: every neighbor type has radial channels of its own, and every
    center type a network. The invariants are the SOAP power spectrum, whose size grows
    with the square of the number of types: the more accurate with few elements.
    ``tensor_reduced``: learned combinations of neighbor types and radial functions, as
    many as ``num_channels`` however many types there are, invariants of each of them
    (Darby et al., `arXiv:2210.01705 <https://arxiv.org/abs/2210.01705>`_), and one
    network with a learned scale and shift of its first hidden layer for every center
    type: for many elements. Models of this kind can learn further types later."""
    num_channels: Size = 64
    """With ``tensor_reduced``: number of combinations. More are more accurate, up to
    what ``orthogonal`` gives."""
    correlation_order: Literal[2, 3, 4] = 3
    """With ``tensor_reduced``: largest number of densities in a product. 2 is a power
    spectrum, 3 adds bispectra, 4 norms of squared densities."""


class MessageHypers(TypedDict):
    """Equivariant message passing between the density and everything made of it.

    Atoms send tensors to their neighbors, and learn about atoms one cutoff further with
    every layer.
    """

    layers: Annotated[int, Field(ge=0, le=8)] = 0
    """Number of layers. Predictions depend on atoms ``layers + 1`` cutoffs away."""
    max_rank: Annotated[int, Field(ge=0, le=4)] = 2
    """Largest rank of the tensors that are sent, and of those that arrive."""
    channels: Size = 16
    """Number of tensors of each rank that are sent."""
    representation: Literal["spherical", "cartesian"] = "spherical"
    """In which the products of tensors are made. The predictions are the same, and so
    are the weights; ``spherical`` is the faster one for every rank (measured in
    ``docs/performance.md``)."""


class NetworkHypers(TypedDict):
    """From invariants to features: layer normalisation, then a multilayer perceptron
    with SiLU activations.
    """

    num_hidden_layers: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of hidden layers."""
    num_neurons_per_layer: Size = 128
    """Width of every hidden layer, and number of features."""


class TensorBasisHypers(TypedDict):
    """The equivariant tensors ``B_b`` that the coefficients multiply.

    Scalars (λ = 0, σ = +1) need none. For all other targets they are the maximally
    coupled products of three learned vectors, learned contractions of the l = λ density
    (both of `arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_), and products of
    two learned contractions coupled in all ways. The tensors that the symmetry of a
    site allows can be predicted, as far as the density with its ``max_angular`` tells
    that symmetry from a higher one.
    """

    num_channels: Size = 16
    """Number of learned contractions, and of products."""
    neighbors: Optional[Size] = 16
    """Number of density channels whose weights are functions of the invariants of both
    atoms and of their distance, from which all kinds of tensors are then made too: the
    exact neighbor sum of the same paper. Predictions, except of scalars, depend on
    atoms up to twice the cutoff away. ``null`` for none: they then depend on atoms
    within the cutoff, are less accurate, and take about 10 % less time."""
    gradients: Optional[Size] = None
    """Number of tensors that are gradients of a learned invariant of the others
    (TraceGrad, `arXiv:2405.05722 <https://arxiv.org/abs/2405.05722>`_): nonlinear
    functions of them. ``null`` for none."""


class AtomPairHypers(TypedDict):
    """Targets of pairs of atoms, ``sample_kind: atom_pair``."""

    cutoff: PositiveFloat = 5.0
    """Largest distance of the atoms of a pair, in the length unit of the dataset; it
    may be another than that of the density."""
    num_channels: Size = 8
    """Channels that each of both atoms and the vector between them give to the density
    of a pair."""


DensityEngine = Literal["torch", "featomic"]


class ModelHypers(TypedDict):
    """Hyperparameters of the model."""

    expansion: ExpansionHypers = init_with_defaults(ExpansionHypers)
    """The neighbor density, computed once for everything."""
    species: SpeciesHypers = init_with_defaults(SpeciesHypers)
    """How types of atoms are told apart."""
    engine: DensityEngine = "torch"
    """What evaluates the density: ``torch``, in plain TorchScript, on CPU and GPU,
    twice differentiable; or ``featomic``, the reference, on the CPU. The numbers are
    the same, and exported models always use ``torch``."""
    messages: MessageHypers = init_with_defaults(MessageHypers)
    """Message passing, off by default."""
    network: NetworkHypers = init_with_defaults(NetworkHypers)
    """The network that turns invariants into coefficients."""
    tensor_basis: TensorBasisHypers = init_with_defaults(TensorBasisHypers)
    """The tensors that the coefficients multiply."""
    index_symmetry: dict[str, str] = {}
    """Cartesian targets that do not change when indices are exchanged, as they were
    written in a formula: ``{mtt::alpha: ij=ji, mtt::elastic: ijkl=jikl=klij}``.
    Predictions then have the symmetry, and only the irreducible parts that it leaves
    are learned."""
    exchange_symmetry: dict[str, Literal["symmetric", "antisymmetric", "none"]] = {}
    """What happens to a target when both atoms of a pair are exchanged, together with
    both indices of a matrix: ``symmetric`` ones are the same. That is the default for
    targets with a ``product``, such as Hamiltonians, of pairs and of atoms; all others
    have ``none``."""
    atom_pairs: AtomPairHypers = init_with_defaults(AtomPairHypers)
    """Targets of pairs of atoms."""
    zbl: bool = False
    """Add metatrain's ZBL repulsion of nuclei to energies, for structures with atoms
    closer than those of the training set."""
    long_range: LongRangeHypers = init_with_defaults(LongRangeHypers)
    """metatrain's long-range featurizer: electrostatics-like features that reach
    beyond the cutoff. Needs ``pip install torch-pme``."""


class FinetuneHypers(TypedDict):
    """Start from a trained model instead of random weights."""

    read_from: str
    """Path of the checkpoint (``.ckpt``) to start from."""
    method: NotRequired[Literal["full", "heads"]]
    """``full``, the default, changes all weights. ``heads`` leaves the features as they
    are, and changes only what no other target uses, heads and tensors: predictions for
    the model's other targets are unchanged."""


class TraceHypers(TypedDict):
    """An additional loss: the features also learn ``tr(Q Q†)`` of every block ``Q`` of
    a target (TraceGrad, `arXiv:2405.05722 <https://arxiv.org/abs/2405.05722>`_). The
    labels are computed from the targets, which must be of atoms or of pairs.
    """

    weight: NonNegativeFloat = 0.0
    """Weight beside the loss of the targets; 0 for none."""
    schedule: Literal["linear", "constant"] = "linear"
    """Whether the weight decays to zero in the course of the training."""
    targets: Optional[list[str]] = None
    """Which targets; by default all of atoms and of pairs."""


class TrainerHypers(TypedDict):
    """Hyperparameters of the training."""

    distributed: NotRequired[bool]
    """Whether to train on several processes. When not set, this is so whenever the run
    has more than one SLURM task. Setting it explicitly is deprecated in metatrain."""
    distributed_port: int = 39591
    """Port on which the processes find each other."""
    batch_size: PositiveInt = 8
    """Number of structures in a batch."""
    max_atoms_per_batch: Optional[PositiveInt] = None
    """If set, batches are packed up to this number of atoms instead of to
    ``batch_size`` structures."""
    min_atoms_per_batch: NonNegativeInt = 0
    """With ``max_atoms_per_batch``: batches with fewer atoms are left out."""
    num_epochs: NonNegativeInt = 100
    """Number of times the training set is gone through."""
    learning_rate: PositiveFloat = 1e-3
    """Largest learning rate of the Adam optimizer."""
    warmup_fraction: NonNegativeFloat = 0.01
    """Fraction of all steps in which the learning rate rises linearly from zero;
    afterwards it decays to zero as half a cosine."""
    grad_clip_norm: Optional[PositiveFloat] = 1.0
    """Gradients with a larger norm are scaled down to it; ``null`` for no limit."""
    ema_decay: Optional[PositiveFloat] = None
    """If set (0.999, say), the exponential moving average of the weights with this
    decay per step is validated and exported, instead of the weights themselves."""
    log_interval: PositiveInt = 5
    """Epochs between two lines in the log."""
    checkpoint_interval: PositiveInt = 25
    """Epochs between two checkpoints."""
    log_mae: bool = False
    """Log mean absolute errors beside root mean squared ones."""
    log_separate_blocks: bool = False
    """Log the error of every block (of every λ, say) instead of one per target."""
    best_model_metric: Literal["rmse_prod", "mae_prod", "loss"] = "rmse_prod"
    """What decides which epoch's weights are exported: the product over the targets of
    the validation RMSE or MAE, or the loss. The MAE needs ``log_mae: true``."""
    loss: str | dict[str, LossSpecification | str] = "mse"
    """Loss function, for all or for each target, with its weight: see metatrain's
    `loss functions <https://docs.metatensor.org/metatrain/latest/>`_."""
    trace_supervision: TraceHypers = init_with_defaults(TraceHypers)
    """Supervision of the invariant features by invariants of the targets."""
    per_structure_targets: list[str] = []
    """Per-system targets whose loss and errors are *not* divided by the number of
    atoms."""
    atomic_baseline: FixedCompositionWeights | str = {}
    """The part of each target that depends on the composition alone. By default it is
    fitted to the training set and taken off the targets; a number, a number for each
    atomic type, or the path of a trained composition model fixes it instead. Cartesian
    targets of even rank have an isotropic one: numbers multiply ``δ_ij``, or for rank 4
    each of ``δ_ij δ_kl``, ``δ_ik δ_jl`` and ``δ_il δ_jk``; with a path it is fitted."""
    scale_targets: bool = True
    """Divide the targets by their standard deviation while training."""
    fixed_scaling_weights: FixedScalerWeights | str = {}
    """Fixed scales instead, or the path of a trained scaler."""
    cache_memory: NonNegativeFloat = 2.0
    """Memory, in GiB, for what does not change while training: neighbor lists, prepared
    targets, the functions of all edges with their slopes and, if no target has forces
    or stress, neighbor densities. Data sets that do not fit are prepared anew in every
    epoch; 0 for none."""
    num_workers: Optional[NonNegativeInt] = None
    """Number of processes that prepare data; by default chosen from the number of
    cores."""
    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model: all its weights go on learning, and targets that it
    did not have are added."""
