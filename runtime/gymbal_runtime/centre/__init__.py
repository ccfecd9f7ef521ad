"""Data centres: what a manager sees and can order, and rules that consolidate and place."""
