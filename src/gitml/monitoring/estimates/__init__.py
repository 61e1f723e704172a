"""How good a model is while no labels have come: estimates from the rows that its version was evaluated on.

Each method assumes that inputs may change, and what follows from them does not (covariate shift). A change of that
(concept drift) none of them can see; only labels do.
"""
