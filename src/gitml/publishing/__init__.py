"""What the forge shows of a report: one comment that stays, its pictures, the status of the commit."""
