"""The same model behind other servers, each as its own documentation shows it. Run in environments of their own."""
