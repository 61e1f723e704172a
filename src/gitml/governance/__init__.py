"""What an application owes to people: explanations of answers, accounts of models; derived from what is kept."""
