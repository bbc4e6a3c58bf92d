"""Physical constants in SI units; the only place where the package holds them.

All values come from `scipy.constants` (CODATA; the 2019 SI makes k, e and h exact).
"""

from scipy import constants as codata

BOLTZMANN: float = codata.Boltzmann
"""k, J/K."""
ELEMENTARY_CHARGE: float = codata.elementary_charge
"""e, C."""
REDUCED_PLANCK: float = codata.hbar
"""ħ, J s."""
BOHR_MAGNETON: float = codata.physical_constants["Bohr magneton"][0]
"""µ_B, J/T."""
VACUUM_PERMEABILITY: float = codata.mu_0
"""µ0, T m/A."""
GYROMAGNETIC_RATIO: float = codata.physical_constants["electron gyromag. ratio"][0]
"""γ of the free electron, rad/(s T); 1.7609e11."""
