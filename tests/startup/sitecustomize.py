"""Read by every Python that tests start: stages of applications, commands, servers.

skops walks through all of scikit-learn when it is imported, and one file there imports torch where that is installed:
half of the time that a stage takes, for nothing. `gitml serve` passes the file over in the same way; applications in
tests get that here, as if torch was not installed, which it is not where `make demo` runs them.

jsonschema imports rfc3987_syntax, which compiles a grammar for more than a second: here it does so for the first IRI
that is checked.
"""

import importlib
import sys
from types import ModuleType

_WRAPPER = "sklearn.externals.array_api_compat.torch"
sys.modules.setdefault(_WRAPPER, ModuleType(_WRAPPER))


class _OnDemand(ModuleType):
    """Takes the place of rfc3987_syntax until it is called."""

    def is_valid_syntax(self, *asked: str) -> bool:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__).is_valid_syntax(*asked)


sys.modules.setdefault("rfc3987_syntax", _OnDemand("rfc3987_syntax"))
