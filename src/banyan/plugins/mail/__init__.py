"""Mail by SMTP, or into a folder while there is no mail server."""
