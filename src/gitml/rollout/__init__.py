"""Two versions of one model, judged on the same traffic: by replay, in the shadow, or with the traffic split."""
