"""Read by every Python that tests start: stages of applications, commands, servers.

skops walks through all of scikit-learn when it is imported, and one file there imports torch where that is installed:
half of the time that a stage takes, for nothing. `gitml serve` passes the file over in the same way; applications in
tests get that here, as if torch was not installed, which it is not where `make demo` runs them.
"""

import sys
from types import ModuleType

_WRAPPER = "sklearn.externals.array_api_compat.torch"
sys.modules.setdefault(_WRAPPER, ModuleType(_WRAPPER))
