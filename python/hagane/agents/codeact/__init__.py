"""The CodeAct loop: a model writes code, a sandbox runs it, the result goes back."""
