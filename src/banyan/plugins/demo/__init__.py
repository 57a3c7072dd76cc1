"""A shop to look at: the furniture and small things of Banyan & Co, who do not exist."""
