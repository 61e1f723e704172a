"""What gitml says about a change, for people: Markdown, charts. Pure: no files, no network."""
