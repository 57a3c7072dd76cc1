"""Fulfillment: how goods reach the shopper, and what that costs."""
