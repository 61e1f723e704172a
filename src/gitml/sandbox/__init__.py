"""A forge and a runner on your machine, in GitHub's formats: to try, teach, test and evaluate offline."""
