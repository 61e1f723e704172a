"""What a bot's commit follows from, told again from Git and believed statements: pure, for opener and gate alike."""
