"""Customers' doors: mail in, contacts, attachments."""
