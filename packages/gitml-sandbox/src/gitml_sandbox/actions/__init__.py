"""From an event to the end of its runs: triggers, workflow files, the queue, and jobs run by act."""
