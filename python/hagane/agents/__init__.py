"""hagane.agents"""
