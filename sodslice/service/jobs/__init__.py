"""Jobs of the service: their list, their files, and the processes that do them."""
