"""A stand-in for AgentFlow, made from its API facts: enough of it to be replaced. Its behaviour is not AgentFlow's."""
