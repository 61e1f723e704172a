"""When a model is trained again: causes, brakes, the plan that follows, and what a policy would have done. Pure."""
