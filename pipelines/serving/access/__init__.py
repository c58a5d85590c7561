"""Who may call the service: clients, tokens, rates of requests."""
