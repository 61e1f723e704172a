"""What CI jobs run: run, commit, publish, verify, record, propose, collect; and the push that a job is about."""
