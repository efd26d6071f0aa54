"""The demonstration: a table is loaded, analysed by a CodeActAgent, judged by gates, and reported."""
