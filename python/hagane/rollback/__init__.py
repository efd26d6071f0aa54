"""hagane.rollback"""
