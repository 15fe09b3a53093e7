# mypy: disable-error-code=misc
# TypedDict fields with default values, as everywhere in metatrain.
r"""Scalar × tensor
===============

Every target is a sum of invariant coefficients times equivariant tensors,

.. math::
    y_i^{\lambda\sigma} = \sum_b c_b(\text{invariants of } i) \,
        B_b^{\lambda\sigma}(\text{surroundings of } i),

exactly equivariant under rotations and reflections. The neighbor density is expanded
as in featomic. A neural network computes the coefficients from its power spectrum, and
the tensors are built from its angular channels: Domina, Bigi, Pegolo, Ceriotti,
`arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_.
"""

from typing import Annotated, Literal, Optional

from metatrain.utils.hypers import init_with_defaults
from metatrain.utils.long_range import LongRangeHypers
from pydantic import Field, NonNegativeFloat, PositiveFloat
from typing_extensions import TypedDict


Size = Annotated[int, Field(ge=1, le=4096)]  # widths of layers, numbers of channels


class SmoothingHypers(TypedDict):
    """How the density goes to zero at the cutoff."""

    type: Literal["ShiftedCosine", "Smoothstep"] = "ShiftedCosine"
    """Form of the cutoff function over the last ``width`` before the cutoff, with
    ``t = (r - radius + width) / width``. ``ShiftedCosine``, which is featomic's, is
    ``1/2 (1 + cos(π t))``: its first derivative is continuous, and so are forces.
    ``Smoothstep`` is ``1 - 35 t⁴ + 84 t⁵ - 70 t⁶ + 20 t⁷``: its first three derivatives
    are continuous, and so are forces with their first two; it is not available with
    ``engine: featomic``."""
    width: PositiveFloat = 0.5
    """Width of the cutoff function, in the length unit of the dataset. The default is
    that of metatrain's SOAP-BPNN."""


class CutoffHypers(TypedDict):
    """Which neighbors contribute to the density of an atom."""

    radius: PositiveFloat = 5.0
    """Cutoff radius, in the length unit of the dataset (Å for most)."""
    smoothing: SmoothingHypers = init_with_defaults(SmoothingHypers)
    """Cutoff function."""


class ScalingHypers(TypedDict):
    """Radial scaling of the density, which gives near neighbors more weight.

    ``rate / (rate + (r / scale)^exponent)``: Willatt, Musil and Ceriotti, `PCCP 20,
    29661 (2018) <https://doi.org/10.1039/C8CP05921G>`_. The defaults are those of
    metatrain's GAP; dipoles of a liquid want a steeper decay, Fock matrices none.
    """

    type: Literal["Willatt2018"] = "Willatt2018"
    """The only form that featomic has."""
    rate: PositiveFloat = 1.0
    """``rate`` in the formula, dimensionless."""
    scale: PositiveFloat = 2.0
    """Distance at which the weight falls off, in the length unit of the dataset."""
    exponent: PositiveFloat = 7.0
    """Steepness of the decay."""


class AtomicDensityHypers(TypedDict):
    """The density that every neighbor contributes."""

    type: Literal["Gaussian"] = "Gaussian"
    """A Gaussian on each atom, as in SOAP: Bartók, Kondor and Csányi, `PRB 87, 184115
    (2013) <https://doi.org/10.1103/PhysRevB.87.184115>`_."""
    width: PositiveFloat = 0.3
    """Standard deviation of the Gaussian, in the length unit of the dataset."""
    center_atom_weight: NonNegativeFloat = 1.0
    """Weight of the center atom in its own density."""
    scaling: Optional[ScalingHypers] = init_with_defaults(ScalingHypers)
    """Radial scaling of the contributions; ``null`` for none."""


class RadialBasisHypers(TypedDict):
    """The radial functions ``R_nl``."""

    type: Literal["Gto", "Bessel"] = "Gto"
    """``Gto`` are Gaussian-type orbitals, orthonormalised by featomic. ``Bessel`` are
    learned functions: a small network of Bessel functions of the distance, the same for
    all ``l``. They describe neighbors as points, and ``density`` is not used."""
    max_radial: Annotated[int, Field(ge=0, le=32)] = 7
    """Largest radial index; there are ``max_radial + 1`` functions."""


class ExpansionBasisHypers(TypedDict):
    """The basis in which the density is expanded."""

    type: Literal["TensorProduct"] = "TensorProduct"
    """The same radial functions for every angular channel."""
    max_angular: Annotated[int, Field(ge=0, le=20)] = 6
    """Largest angular channel ``l``. It limits the angular order λ of the targets."""
    radial: RadialBasisHypers = init_with_defaults(RadialBasisHypers)
    """Radial functions."""


class ExpansionHypers(TypedDict):
    """The neighbor density: the arguments of featomic's ``SphericalExpansion``, with
    the same names (see `its documentation <https://metatensor.github.io/featomic>`_).
    """

    cutoff: CutoffHypers = init_with_defaults(CutoffHypers)
    """Which neighbors contribute."""
    density: AtomicDensityHypers = init_with_defaults(AtomicDensityHypers)
    """The contribution of each neighbor."""
    basis: ExpansionBasisHypers = init_with_defaults(ExpansionBasisHypers)
    """The basis in which the density is expanded."""


class SpeciesHypers(TypedDict):
    """How atom types are distinguished."""

    type: Literal["auto", "orthogonal", "tensor_reduced"] = "auto"
    """``auto`` is ``orthogonal`` for up to ten types, and ``tensor_reduced`` for more.
    ``orthogonal`` gives each neighbor type its own radial channels, and each center
    type its own network. The invariants are the SOAP power spectrum, whose size grows
    with the square of the number of types. It is more accurate for few elements.
    ``tensor_reduced`` is for many elements. It mixes neighbor types and radial
    functions into ``num_channels`` learned combinations, whatever the number of types,
    and computes invariants of each (Darby et al., `arXiv:2210.01705
    <https://arxiv.org/abs/2210.01705>`_). There is one network, with a learned scale
    and shift of its first hidden layer for each center type. Such a model can learn
    further types later."""
    num_channels: Size = 64
    """Number of combinations with ``tensor_reduced``. More are more accurate, up to the
    accuracy of ``orthogonal``."""
    correlation_order: Literal[2, 3, 4] = 3
    """Largest number of densities in a product, with ``tensor_reduced``: 2 is a power
    spectrum, 3 adds bispectra, and 4 adds norms of squared densities."""


class MessageHypers(TypedDict):
    """Equivariant message passing. Products of the density with itself are sent to the
    neighbors, and what an atom receives is multiplied with itself again. The resulting
    scalars replace the invariants of the density, and the tensors the density. Each
    layer extends the reach of the model by one cutoff. ``options/forces.yaml`` has the
    settings that go with it.
    """

    layers: Annotated[int, Field(ge=0, le=8)] = 0
    """Number of layers. Predictions depend on atoms up to ``layers + 1`` cutoffs away.
    """
    max_rank: Annotated[int, Field(ge=0, le=4)] = 2
    """Largest rank of the tensors that are sent."""
    channels: Size = 64
    """Number of tensors of each rank at every atom."""
    correlation_order: Annotated[int, Field(ge=1, le=4)] = 3
    """Largest number of received tensors in a product."""
    representation: Literal["spherical", "cartesian"] = "spherical"
    """Representation in which tensors are multiplied. Weights and predictions are the
    same; ``spherical`` is faster for every rank (measured in ``docs/performance.md``).
    """


class NetworkHypers(TypedDict):
    """From invariants to features: layer normalisation, unless they come from messages,
    then a multilayer perceptron with SiLU activations.
    """

    num_hidden_layers: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of hidden layers."""
    num_neurons_per_layer: Size = 128
    """Width of each hidden layer, and number of features."""


class TensorBasisHypers(TypedDict):
    """The equivariant tensors ``B_b`` that the coefficients multiply.

    Scalars (λ = 0, σ = +1) need none. All other targets use the maximally coupled
    products of three learned vectors, learned contractions of the l = λ density (both
    from `arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_), and products of two
    learned contractions with all their couplings. Any tensor that the symmetry of a
    site allows can be predicted, provided that the density with its ``max_angular``
    distinguishes this symmetry from a higher one.
    """

    num_channels: Size = 16
    """Number of learned contractions, and of products."""
    neighbors: Optional[Size] = 16
    """Number of additional density channels, weighted by learned functions of the
    invariants of both atoms and of their distance: the exact neighbor sum of the same
    paper. All kinds of tensors are built from them as well. Predictions other than
    scalars then depend on atoms up to twice the cutoff away. With ``null`` there are no
    such channels: predictions depend on atoms within the cutoff, are less accurate, and
    take about 10 % less time."""
    gradients: Optional[Size] = None
    """Number of additional tensors that are gradients of a learned invariant of the
    others, and so nonlinear functions of them (TraceGrad, `arXiv:2405.05722
    <https://arxiv.org/abs/2405.05722>`_). ``null`` for none."""


class AtomPairHypers(TypedDict):
    """Targets of pairs of atoms, ``sample_kind: atom_pair``."""

    cutoff: PositiveFloat = 5.0
    """Largest distance of the atoms of a pair, in the length unit of the dataset. It is
    independent of the cutoff of the density."""
    num_channels: Size = 16
    """Number of channels in the density of a pair from each of the two atoms, and from
    the vector between them."""
    num_functions: Size = 2048
    """Number of functions of a pair's scalars, random before the training, in which the
    scalar parts of targets are linear."""


DensityEngine = Literal["torch", "featomic"]
SystemInput = Literal["charge", "spin_multiplicity"]


class ModelHypers(TypedDict):
    """Hyperparameters of the model."""

    expansion: ExpansionHypers = init_with_defaults(ExpansionHypers)
    """The neighbor density."""
    species: SpeciesHypers = init_with_defaults(SpeciesHypers)
    """How atom types are distinguished."""
    engine: DensityEngine = "torch"
    """Implementation of the density: ``torch`` is plain TorchScript, runs on CPU and
    GPU, and is twice differentiable; ``featomic`` is the reference, on the CPU. Both
    give the same numbers. Exported models always use ``torch``."""
    messages: MessageHypers = init_with_defaults(MessageHypers)
    """Message passing, off by default."""
    network: NetworkHypers = init_with_defaults(NetworkHypers)
    """The network that turns invariants into features, of which the coefficients are
    linear functions."""
    tensor_basis: TensorBasisHypers = init_with_defaults(TensorBasisHypers)
    """The tensors that the coefficients multiply."""
    index_symmetry: dict[str, str] = {}
    """Cartesian targets that are symmetric under exchange of indices, in index
    notation: ``{mtt::alpha: ij=ji, mtt::elastic: ijkl=jikl=klij}``. Predictions then
    have the symmetry, and only the irreducible parts that it allows are learned.
    ``{mtt::efg: ij=ji traceless}`` are tensors whose traces are zero, too."""
    charges: list[str] = []
    """Targets to which charges times positions are added: vectors of whole molecules,
    such as dipoles. Charges depend on the surroundings of an atom and add up to zero;
    the dipole of an ion has to be given relative to the mean of the positions. The
    reach of such a target is infinite, and periodic structures are refused."""
    exchange_symmetry: dict[str, Literal["symmetric", "antisymmetric", "none"]] = {}
    """How a target changes when the two atoms of a pair are exchanged, together with
    the two indices of a matrix: ``symmetric`` targets stay the same, ``antisymmetric``
    ones change sign. The default is ``symmetric`` for targets with a ``product``, such
    as Hamiltonians, of pairs or of atoms, and ``none`` for all others."""
    intensive: dict[str, Literal["mean", "volume"]] = {}
    """Targets of structures that do not grow with the number of atoms, such as the
    properties of a material: ``mean`` is the mean over the atoms instead of their sum,
    ``volume`` the sum divided by the volume of the cell:
    ``{mtt::gap: mean, mtt::epsilon: volume}``. Without forces and stress."""
    atom_pairs: AtomPairHypers = init_with_defaults(AtomPairHypers)
    """Targets of pairs of atoms."""
    system_inputs: list[SystemInput] = []
    """What the model reads of a structure besides its atoms: ``charge``, the total
    charge in units of the elementary charge, and ``spin_multiplicity``, 2S + 1. Both
    are ``extra_data`` of the data sets. Every atom sees the charge, or the number of
    unpaired electrons, divided by the number of atoms."""
    zbl: bool = False
    """Add metatrain's ZBL repulsion of nuclei to energies, for atoms that come closer
    than those in the training set."""
    long_range: LongRangeHypers = init_with_defaults(LongRangeHypers)
    """metatrain's long-range featurizer: electrostatics-like features that reach
    beyond the cutoff. It needs ``pip install torch-pme``."""
