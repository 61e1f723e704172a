"""How columns that are not logged are named; apart, because an agent that holds no model asks."""

# Among the columns that are private: no column at all is written.
EVERY_COLUMN = "*"
