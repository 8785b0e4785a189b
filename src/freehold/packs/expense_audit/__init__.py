"""Expense audit: reads receipts, checks them against a company's written policy, reports what it found.

Plain functions from bytes to data and from data to bytes; nothing here reaches a network, a clock or a store.
"""
