"""The storefront: where shoppers look around, fill a cart and order."""
