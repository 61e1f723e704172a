from __future__ import annotations

import subprocess
import sys

import pytest

import gitml.spec


def test_the_public_face_is_what_is_there() -> None:
    for name in gitml.spec.__all__:
        assert getattr(gitml.spec, name).__name__ == name
    assert sorted(gitml.spec.__all__) == gitml.spec.__all__
    with pytest.raises(AttributeError, match="nothing"):
        _ = gitml.spec.nothing  # type: ignore[attr-defined]


def test_loading_the_application_loads_nothing_heavy() -> None:
    code = (
        "import sys; from gitml.spec import find_root, load_application; load_application;"
        "print(sorted({'dvc', 'numpy', 'pandas', 'git', 'gitml.spec.policy', 'gitml.spec.dag'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
