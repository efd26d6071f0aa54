"""hagane.sandbox"""
