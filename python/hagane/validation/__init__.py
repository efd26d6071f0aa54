"""hagane.validation"""
