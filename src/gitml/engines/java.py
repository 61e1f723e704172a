"""The Java that Spark and Flink run on."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from gitml.errors import UsageError
from gitml.process import run

OLDEST = 17
ON_JAVA = ("spark", "flink")
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def java_environment(engine: str) -> dict[str, str]:
    """The variable ``JAVA_HOME`` for ``engine``, empty where PATH has it. Raises UsageError without a Java of today."""
    home = os.environ.get("JAVA_HOME", "")
    java = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if java is None:
        where = f"JAVA_HOME is {home}, and there is no bin/java in it" if home else "there is no java on PATH"
        raise UsageError(
            f"{engine} needs Java {OLDEST} or later: {where}", "on Debian: apt-get install default-jre-headless"
        )
    told = run([java, "-version"], cwd=Path("/"), timeout=60).stderr.decode(errors="replace")
    found = _VERSION.search(told)
    if found is None or int(found[1]) < OLDEST:
        version = found[1] if found else "of an unknown version"
        raise UsageError(f"{engine} needs Java {OLDEST} or later: {java} is {version}", "set JAVA_HOME to a later one")
    return {"JAVA_HOME": home} if home else {}
