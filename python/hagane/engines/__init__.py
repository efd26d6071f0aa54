"""hagane.engines"""
