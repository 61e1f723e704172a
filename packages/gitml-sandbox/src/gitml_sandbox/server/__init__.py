"""One process on this machine: started, found and stopped; its address, its TLS, its recovery after a kill."""
