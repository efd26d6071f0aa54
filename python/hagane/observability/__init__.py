"""hagane.observability"""
