"""Tensors from output files of programs, whose numbers, units and orders are known.

The files have what the programs print, without most of what they print besides.
"""

import ase.io
import numpy as np
import pytest
from ase import units

from metatrain_scalar_tensor.command import main
from metatrain_scalar_tensor.programs import read_output


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


ORCA = """
                                 * O   R   C   A *
---------------------------------
CARTESIAN COORDINATES (ANGSTROEM)
---------------------------------
  H      0.000000    0.000000    0.900000
  F      0.000000    0.000000    0.000000

Number of atoms                             ...      2
 Total Charge           Charge          ....    0
 Multiplicity           Mult            ....    1
FINAL SINGLE POINT ENERGY       -100.000000000000
The origin for moment calculation is the CENTER OF MASS  = ( 0.0, 0.0  0.1)
Total Dipole Moment    :      0.10000       0.20000       0.70000

-------------------------
THE POLARIZABILITY TENSOR
-------------------------

The raw cartesian tensor (atomic units):
     1.000000     0.100000     0.200000
     0.100000     2.000000     0.300000
     0.200000     0.300000     3.000000
diagonalized tensor:

 --------------
 Nucleus   1F :
 --------------

Diamagnetic contribution to the shielding tensor (ppm) :
             9.0   9.0   9.0
             9.0   9.0   9.0
             9.0   9.0   9.0

Total shielding tensor (ppm):
           400.000          1.000         2.000
             3.000        410.000         4.000
             5.000          6.000       420.000

                             ****ORCA TERMINATED NORMALLY****
"""

# ORCA 6 says more, and has tensors of other multipoles
ORCA_6 = ORCA.replace(
    """-------------------------
THE POLARIZABILITY TENSOR
-------------------------
""",
    """----------------------------------------------------
STATIC POLARIZABILITY TENSOR (Dipole/Dipole)
----------------------------------------------------

Method             : SCF
Type of density    : Electron Density
Type of derivative : Electric Field (Direction=X)
Multiplicity       :   1
Irrep              :   0
Relativity type    :
Basis              : AO
""",
).replace(
    "diagonalized tensor:",
    """diagonalized tensor:

----------------------------------------------------
STATIC POLARIZABILITY TENSOR (Dipole/Quadrupole)
----------------------------------------------------

Method             : SCF

The raw cartesian tensor (atomic units):
     9.000000     9.000000     9.000000
     9.000000     9.000000     9.000000
     9.000000     9.000000     9.000000
""",
)

GAUSSIAN = """
 Entering Gaussian System, Link 0=g16
 Charge =  0 Multiplicity = 1
                          Input orientation:
 ---------------------------------------------------------------------
 Center     Atomic      Atomic             Coordinates (Angstroms)
 Number     Number       Type             X           Y           Z
 ---------------------------------------------------------------------
      1          1           0        0.000000    0.000000    0.900000
      2          9           0        0.000000    0.000000    0.000000
 ---------------------------------------------------------------------
 SCF Done:  E(RHF) =  -100.000000000     A.U. after    9 cycles
 SCF GIAO Magnetic shielding tensor (ppm):
      1  H    Isotropic =    28.0000   Anisotropy =    20.0000
   XX=    20.0000   YX=     1.0000   ZX=     2.0000
   XY=     3.0000   YY=    24.0000   ZY=     4.0000
   XZ=     5.0000   YZ=     6.0000   ZZ=    40.0000
   Eigenvalues:    20.0000    24.0000    40.0000
      2  F    Isotropic =   410.0000   Anisotropy =     0.0000
   XX=   410.0000   YX=     0.0000   ZX=     0.0000
   XY=     0.0000   YY=   410.0000   ZY=     0.0000
   XZ=     0.0000   YZ=     0.0000   ZZ=   410.0000
   Eigenvalues:   410.0000   410.0000   410.0000
 Dipole moment (field-independent basis, Debye):
    X=              0.1000    Y=              0.2000    Z=              1.8000  Tot= 1.8
 Exact polarizability:   1.000-100.100   2.000   0.200   0.300   3.000
 1\\1\\GINC-NODE\\SP\\RHF
 Normal termination of Gaussian 16 at Sat Nov 28 00:00:00 2026.
"""

CP2K = """
 CP2K| version string:                                       CP2K version 2024.1
 CELL| Vector a [angstrom]:      10.000     0.000     0.000   |a| =    10.000480
 CELL| Vector b [angstrom]:       0.000    11.000     0.000   |b| =    11.000000
 CELL| Vector c [angstrom]:       0.000     0.000    12.000   |c| =    12.000000
 CELL| Periodicity                                                           XYZ
 DFT| Multiplicity                                                             1
 DFT| Charge                                                                   0

 MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM

   Atom Kind Element         X             Y             Z       Z(eff)     Mass
      1    1 H     1      0.000000      0.000000      0.900000   1.0000   1.0079
      2    2 F     9      0.000000      0.000000     -0.000000   7.0000  18.9984



 ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:             -24.000000000000000
  Dipole moment [Debye]
    X=    0.10000000 Y=    0.20000000 Z=   -1.80000000     Total=      1.81383571
 POLAR| Polarizability tensor [a.u.]
 POLAR| xx,yy,zz        9.00000        9.00000        9.00000
 POLAR| xy,xz,yz        9.00000        9.00000        9.00000
 POLAR| yx,zx,zy        9.00000        9.00000        9.00000

 POLAR| Polarizability tensor [ang^3]
 POLAR| xx,yy,zz        1.00000        2.00000        3.00000
 POLAR| xy,xz,yz        0.10000        0.20000        0.30000
 POLAR| yx,zx,zy        0.11000        0.21000        0.31000
  **** **** ******  **  PROGRAM ENDED AT               2026-11-28 00:00:00.000
"""

AIMS = """
          Invoking FHI-aims ...
          | Number of atoms                   :        2
  Charge =   0.000000E+00: Neutral system requested explicitly.
          | Number of spin channels           :        1
          | Number of Kohn-Sham states (occupied + empty):       12
  The structure contains        2 atoms,  and a total of         10.000 electrons.
  Atomic structure:
  |       Atom                x [A]            y [A]            z [A]
  |    1: Species H             0.00000000        0.00000000        0.90000000
  |    2: Species F             0.00000000        0.00000000        0.00000000
          Begin self-consistency iteration #    1

  Date     :  20261126, Time     :  120000.000
  | Electronic free energy        :         -2700.000000000 eV
  | Total dipole moment [eAng]        :        0.1000  0.2000  -0.4000
  DFPT polarizability (Bohr^3)        xx       yy       zz       xy       xz       yz
  | Polarizability:--->     1.00000 200.00000 300.00000   0.10000-200.20000   0.30000
          Have a nice day.
"""

VASP = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <parameters><i type="int" name="NELM">    60</i></parameters>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray>
  <varray name="weights"><v>1</v></varray></kpoints>
 <atominfo><array name="atoms"><set>
  <rc><c>Na</c><c>1</c></rc><rc><c>Cl</c><c>2</c></rc>
 </set></array></atominfo>
 <structure name="initialpos">STRUCTURE</structure>
 <calculation>
  <scstep><energy><i name="e_fr_energy">-7.0</i><i name="e_0_energy">-6.9</i></energy>
  </scstep>
  <structure>STRUCTURE</structure>
  <varray name="forces"><v>0.0 0.0 0.1</v><v>0.0 0.0 -0.1</v></varray>
  <energy><i name="e_fr_energy">-7.0</i></energy>
  <array name="born_charges"><dimension dim="1">ion</dimension>
   <set><v>1.0 0.1 0.2</v><v>0.3 1.1 0.4</v><v>0.5 0.6 1.2</v></set>
   <set><v>-1.0 -0.1 -0.2</v><v>-0.3 -1.1 -0.4</v><v>-0.5 -0.6 -1.2</v></set>
  </array>
 </calculation>
</modeling>
""".replace(
    "STRUCTURE",
    '<crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray>'
    '</crystal><varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.5</v></varray>',
)

MAGRES = """#$magres-abinitio-v1.0
[atoms]
units lattice Angstrom
lattice 4.0 0.0 0.0 0.0 4.0 0.0 0.0 0.0 4.0
units atom Angstrom
atom H H 1 0.0 0.0 0.9
atom F F 1 0.0 0.0 0.0
[/atoms]
[magres]
units ms ppm
ms H 1 20.0 3.0 5.0 1.0 24.0 6.0 2.0 4.0 40.0
ms F 1 410.0 0.0 0.0 0.0 410.0 0.0 0.0 0.0 410.0
[/magres]
"""

SYMMETRIC = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
SHIELDING = np.array([[20.0, 3.0, 5.0], [1.0, 24.0, 6.0], [2.0, 4.0, 40.0]])
FLUORINE = 410.0 * np.eye(3)
BORN = np.array([[1.0, 0.1, 0.2], [0.3, 1.1, 0.4], [0.5, 0.6, 1.2]])
BOHR3 = units.Bohr**3
UNCOMMON = np.array([[1.0, -100.1, 0.2], [-100.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
RUN_TOGETHER = np.array([[1.0, 0.1, -200.2], [0.1, 200.0, 0.3], [-200.2, 0.3, 300.0]])

OF_ORCA = {
    "mu": np.array([0.1, 0.2, 0.7]) * units.Bohr,
    "alpha": SYMMETRIC * BOHR3,
    "shielding": [
        np.full((3, 3), np.nan),
        np.array([[400.0, 1.0, 2.0], [3.0, 410.0, 4.0], [5.0, 6.0, 420.0]]),
    ],
}
EXPECTED = {
    "orca": (ORCA, -100.0 * units.Hartree, OF_ORCA),
    "orca_6": (ORCA_6, -100.0 * units.Hartree, OF_ORCA),
    "gaussian": (
        GAUSSIAN,
        -100.0 * units.Hartree,
        {
            "mu": np.array([0.1, 0.2, 1.8]) * units.Debye,
            "alpha": UNCOMMON * BOHR3,
            "shielding": [SHIELDING, FLUORINE],
        },
    ),
    "cp2k": (
        CP2K,
        -24.0 * units.Hartree,
        {
            "mu": np.array([0.1, 0.2, -1.8]) * units.Debye,
            "alpha": [[1.0, 0.1, 0.2], [0.11, 2.0, 0.3], [0.21, 0.31, 3.0]],
        },
    ),
    "aims": (
        AIMS,
        -2700.0,
        {"mu": np.array([0.1, 0.2, -0.4]), "alpha": RUN_TOGETHER * BOHR3},
    ),
    "vasp": (VASP, -7.0, {"bec": [BORN, -BORN]}),
    "magres": (MAGRES, None, {"shielding": [SHIELDING, FLUORINE]}),
}


@pytest.mark.parametrize("program", EXPECTED)
def test_tensors_of_a_program(program, tmp_path):
    text, energy, tensors = EXPECTED[program]
    (tmp_path / "output").write_text(text)
    main(["collect", "output", "-o", "data.xyz"])
    atoms = ase.io.read("data.xyz")
    symbols, vector = ("NaCl", [-2.0] * 3) if program == "vasp" else ("HF", [0, 0, 0.9])
    assert str(atoms.symbols) == symbols
    np.testing.assert_allclose(atoms.positions[0] - atoms.positions[1], vector)
    if energy is not None:
        assert atoms.get_potential_energy() == pytest.approx(energy)
    found = {**atoms.info, **atoms.arrays}
    keys = {"mu", "alpha", "bec", "shielding"}
    assert keys & found.keys() == tensors.keys()
    for key, expected in tensors.items():
        shape = np.shape(expected)
        np.testing.assert_allclose(found[key].reshape(shape), expected, rtol=1e-6)


def test_cells_and_forces(tmp_path):
    (tmp_path / "cp2k.out").write_text(CP2K)
    (tmp_path / "vasprun.xml").write_text(VASP)
    molecule = read_output(tmp_path / "cp2k.out")
    np.testing.assert_allclose(molecule.cell.lengths(), [10.00048, 11.0, 12.0])
    assert molecule.pbc.all()
    np.testing.assert_allclose(
        read_output(tmp_path / "vasprun.xml").get_forces()[0], [0.0, 0.0, 0.1]
    )


def moved(text, height):
    """The output for hydrogen at another height."""
    return text.replace("0.900000", f"{height:.6f}")


def without_tensors(text, after, before):
    start, end = text.index(after), text.rindex(before)
    return text[:start] + text[end:]


@pytest.mark.parametrize(
    "first, last",
    [
        (ORCA, without_tensors(ORCA, "-----\nTHE POLAR", " ****ORCA TERM")),
        (GAUSSIAN, without_tensors(GAUSSIAN, " SCF GIAO", " Dipole moment")),
    ],
)
def test_tensors_belong_to_the_last_structure(tmp_path, first, last):
    """A file may have several jobs, of which the first has other tensors."""
    last = last.replace(" Exact polarizability", " Approx polarizability")
    (tmp_path / "output").write_text(first + moved(last, 1.5))
    atoms = read_output(tmp_path / "output")
    assert atoms.get_distance(0, 1) == pytest.approx(1.5)
    assert "mu" in atoms.info
    assert "alpha" not in atoms.info and "shielding" not in atoms.arrays


@pytest.mark.parametrize("height", [0.0, 5.0])
def test_dipoles_of_ions_refer_to_the_center_of_mass(tmp_path, height):
    """ORCA prints them so; of other programs the reference is not known."""
    cation = ORCA.replace("Charge          ....    0", "Charge          ....    1")
    cation = cation.replace("0.000000\n", f"{height:.6f}\n")  # of fluorine
    (tmp_path / "output").write_text(moved(cation, 0.9 + height))
    atoms = read_output(tmp_path / "output")
    assert atoms.info["charge"] == 1 and atoms.info["spin_multiplicity"] == 1
    np.testing.assert_allclose(atoms.info["mu"] / units.Bohr, [0.1, 0.2, 0.7])
    (tmp_path / "output").write_text(GAUSSIAN.replace("Charge =  0", "Charge =  1"))
    with pytest.warns(UserWarning, match="dipoles of charged structures are left out"):
        atoms = read_output(tmp_path / "output")
    assert "mu" not in atoms.info and "alpha" in atoms.info


def test_berry_phases_are_no_dipoles(tmp_path):
    operator = "  Dipole vectors are based on the periodic (Berry phase) operator.\n"
    place = CP2K.index("  Dipole moment")
    (tmp_path / "output").write_text(CP2K[:place] + operator + CP2K[place:])
    with pytest.warns(UserWarning, match="known up to multiples of the cell vectors"):
        atoms = read_output(tmp_path / "output")
    assert "mu" not in atoms.info and "alpha" in atoms.info


def test_several_files(tmp_path, capsys):
    """Those that can't be read are left out and named."""
    (tmp_path / "1.out").write_text(ORCA)
    (tmp_path / "2.out").write_text(CP2K)
    (tmp_path / "3.out").write_text(CP2K.replace("PROGRAM ENDED", ""))
    main(["collect", "1.out", "3.out", "2.out", "-o", "data.xyz"])
    printed = capsys.readouterr()
    assert "2 structures in data.xyz" in printed.out
    assert "alpha                 2  polarizability, A^3" in printed.out
    assert "shielding             1" in printed.out and "bec" not in printed.out
    assert "1 files are left out:\n'3.out' can't be read" in printed.err
    assert len(ase.io.read("data.xyz", ":")) == 2


def test_no_digits_are_lost(tmp_path):
    """ASE's writer rounds what atoms have to eight decimals."""
    digits = "5.34453067e-09"
    (tmp_path / "1.out").write_text(VASP.replace("0.0 0.0 0.1<", f"0.0 0.0 {digits}<"))
    main(["collect", "1.out", "-o", "data.xyz"])
    assert ase.io.read("data.xyz").get_forces()[0, 2] == float(digits)


@pytest.mark.parametrize(
    "text, message",
    [
        ("nothing", "'output' is no output of ORCA"),
        (GAUSSIAN.replace("Input", "Standard"), "'output' can't be read.* NoSymm"),
        (GAUSSIAN.replace("Normal", "Error"), "did not finish: there is no 'Normal"),
        (
            GAUSSIAN.replace(" SCF GIAO", " Convergence failure -- run terminated.\n"),
            "'Convergence failure'",
        ),
        (GAUSSIAN.replace("     2          9 ", "     2          0 "), "ghost atoms"),
        (ORCA.replace("TERMINATED", ""), "'output' can't be read: .*did not finish"),
        (
            ORCA.replace("ENERGY ", "ENERGY (Wavefunction not fully converged!)"),
            "the calculation failed: 'not fully converged'",
        ),
        (CP2K.replace("energy [", "energy [\n"), "it has 0 energies"),
        (CP2K + CP2K, "it has 2 energies, but the first structure only"),
        (CP2K.replace("COORDINATES", ""), "no 'ATOMIC COORDINATES IN ANGSTROM'"),
        (CP2K.replace("PROGRAM ENDED", ""), "did not finish"),
        (CP2K.replace(" ENERGY|", " SCF run NOT converged\n ENERGY|"), "NOT conv"),
        (CP2K.replace("7.0000", "0.0000"), "ghost atoms"),
        (AIMS.replace("Have a nice day.", ""), "can't be read"),
        (
            VASP.replace(">    60<", ">     2<").replace(
                "<scstep>", "<scstep></scstep><scstep>"
            ),
            "not reached in 2 steps",
        ),
    ],
)
def test_files_that_are_refused(tmp_path, text, message):
    (tmp_path / "output").write_text(text)
    with pytest.raises(SystemExit, match=message):
        main(["collect", "output", "-o", "data.xyz"])


def test_folder_that_does_not_exist(tmp_path):
    (tmp_path / "output").write_text(ORCA)
    with pytest.raises(SystemExit, match="can't be written: there is no 'missing'"):
        main(["collect", "output", "-o", "missing/data.xyz"])
