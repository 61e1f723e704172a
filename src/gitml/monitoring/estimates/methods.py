"""The methods, simplest first: of equally good ones the first is taken."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.monitoring.estimates.cbpe import Cbpe
from gitml.monitoring.estimates.dle import Dle
from gitml.monitoring.estimates.importance import ImportanceWeighting
from gitml.monitoring.estimates.method import Method
from gitml.monitoring.estimates.pape import Pape

METHODS: Sequence[Method] = (Cbpe(), Pape(), Dle(), ImportanceWeighting())
