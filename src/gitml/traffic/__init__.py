"""What was asked and answered, and the labels that came later: written by servers, joined, read in bounded memory."""
