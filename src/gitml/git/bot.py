"""Who gitml's own commits are from."""

# .invalid is reserved (RFC 2606): no forge can take the address for a person's.
BOT_NAME, BOT_EMAIL = "gitml-bot", "gitml-bot@noreply.invalid"
BOT_AUTHOR = f"{BOT_NAME} <{BOT_EMAIL}>"
