"""What a command says at its end about a run, a refusal, or a new bundle."""
